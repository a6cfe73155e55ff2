-- Up to which day opening figures count; absent in those that earlier programs brought in.
ALTER TABLE opening ADD COLUMN as_of date;

-- One row for each visit number, changed by whoever makes or moves one of its claims: stays that are opened under
-- different dates are no conflict of keys in `stay_claim`, and wait for each other here, on one shard.
CREATE TABLE visit_head (
    keyed_hash bytea NOT NULL PRIMARY KEY CHECK (length(keyed_hash) = 16), -- as in `stay_claim`
    changes bigint NOT NULL
);

-- Secrets of the store itself, sealed under its own data key. `claims` makes the hashes of `message_claim`,
-- `stay_claim`, `visit_head` and `stay`, which cannot be made anew: another key file leaves them as they are.
CREATE TABLE secret (
    name text NOT NULL PRIMARY KEY,
    sealed bytea NOT NULL
);

COMMENT ON COLUMN opening.payer IS 'never empty';
