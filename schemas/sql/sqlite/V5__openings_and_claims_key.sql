-- Up to which day opening figures count; absent in those that earlier programs brought in.
ALTER TABLE opening ADD COLUMN as_of TEXT;

-- A person's references, for those who are joined to another.
CREATE INDEX person_key_by_person ON person_key (person_id);

-- Secrets of the store itself, sealed under its own data key. `claims` makes the hashes of `message_claim`,
-- `stay_claim` and `stay`, which cannot be made anew: another key file leaves them as they are.
-- (`opening.payer` is never empty, whatever V1 says.)
CREATE TABLE secret (
    name TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
