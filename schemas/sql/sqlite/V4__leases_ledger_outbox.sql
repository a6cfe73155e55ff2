-- Leases: who acts for a stay whose payers are in flight, and which stays wait for a person.
ALTER TABLE stay ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0; -- counts the takings of the lease
ALTER TABLE stay ADD COLUMN held_by TEXT;
ALTER TABLE stay ADD COLUMN needs_attention INTEGER NOT NULL DEFAULT 0 CHECK (needs_attention IN (0, 1));
CREATE INDEX stay_by_holder ON stay (held_by, due_at) WHERE held_by IS NOT NULL;
CREATE INDEX stay_by_attention ON stay (stay_id) WHERE needs_attention = 1;

-- What settlements in flight have set aside of a year, beyond `person_year` and `accumulator`. A row that would say
-- nothing is not there.
CREATE TABLE reserved_year (
    person_id BLOB NOT NULL,
    year INTEGER NOT NULL,
    admissions INTEGER NOT NULL,
    PRIMARY KEY (person_id, year)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservation (
    person_id BLOB NOT NULL,
    year INTEGER NOT NULL,
    payer TEXT NOT NULL,
    base TEXT NOT NULL,
    paid INTEGER NOT NULL,
    PRIMARY KEY (person_id, year, payer)
) STRICT, WITHOUT ROWID;

-- The ledger. Each row takes from one account what it gives another, so that every sum over whole rows is zero.
-- Accounts: `fund:PAYER:INSURED_REGION`, `patient`, `hospital:CODE`. Rows are only added.
CREATE TABLE posting (
    person_id BLOB NOT NULL,
    settlement_id BLOB NOT NULL,
    version INTEGER NOT NULL, -- of the bill that caused it
    debit TEXT NOT NULL,
    credit TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('settlement', 'reversal', 'clearing')),
    day TEXT NOT NULL, -- civil date in Shanghai, of the bill's change of state
    amount INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (person_id, settlement_id, version, debit, credit),
    CHECK (debit <> credit)
) STRICT, WITHOUT ROWID;
CREATE INDEX posting_by_day ON posting (day);

-- What was settled before there was a ledger: of no known region, and with the only day that is known.
INSERT INTO posting (person_id, settlement_id, version, debit, credit, kind, day, amount)
SELECT s.person_id, s.settlement_id, s.version - (s.state = 'reversed'), 'fund:' || l.payer || ':',
       'hospital:' || s.hospital, 'settlement', s.day, l.paid
FROM settlement s JOIN leg l ON l.person_id = s.person_id AND l.settlement_id = s.settlement_id
WHERE s.state IN ('settled', 'reversed') AND l.paid > 0;
INSERT INTO posting (person_id, settlement_id, version, debit, credit, kind, day, amount)
SELECT person_id, settlement_id, version - (state = 'reversed'), 'patient', 'hospital:' || hospital,
       'settlement', day, patient_share
FROM settlement WHERE state IN ('settled', 'reversed') AND patient_share > 0;
INSERT INTO posting (person_id, settlement_id, version, debit, credit, kind, day, amount)
SELECT p.person_id, p.settlement_id, s.version, p.credit, p.debit, 'reversal', p.day, p.amount
FROM posting p JOIN settlement s ON s.person_id = p.person_id AND s.settlement_id = p.settlement_id
WHERE s.state = 'reversed';

-- What hospitals are still to be told, each stay's bills in order; a row goes when it was delivered.
CREATE TABLE outbox (
    person_id BLOB NOT NULL,
    stay_id BLOB NOT NULL,
    version INTEGER NOT NULL, -- of the bill; counts on over the settlements of a stay
    outbox_id BLOB NOT NULL CHECK (length(outbox_id) = 16),
    hospital TEXT NOT NULL,
    settlement_id BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    why TEXT, -- the last delivery failed; names nobody
    PRIMARY KEY (person_id, stay_id, version, outbox_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_due ON outbox (due_at, hospital);
CREATE INDEX outbox_by_id ON outbox (outbox_id);
