-- A step reads, decides and seals before it writes: what it writes holds only if everybody it looked at is as
-- it saw them. Every write that touches a person raises their version.
ALTER TABLE person ADD COLUMN version INTEGER NOT NULL DEFAULT 0;

-- The newest settlement of a stay: its bill stands in `bill` and nowhere else.
ALTER TABLE stay ADD COLUMN settlement_id BLOB; -- absent without one, and in stays that hold their bill themselves
