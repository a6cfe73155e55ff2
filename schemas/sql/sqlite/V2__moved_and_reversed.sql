-- A reversal marks the settlements of the same person and benefit year that came after the reversed one.
ALTER TABLE settlement ADD COLUMN benefit_year INTEGER; -- absent until settled
ALTER TABLE settlement ADD COLUMN settled_number INTEGER; -- counts the settlements of a person
ALTER TABLE settlement ADD COLUMN earlier_reversed INTEGER NOT NULL DEFAULT 0;

-- The claim that leads to the stay, so that it can follow the stay to another person.
ALTER TABLE stay ADD COLUMN visit_hash BLOB; -- absent in stays of the first schema
