-- Makes a hundred of every stay in a database that `yizhan bench --stored` has filled, under keys that nobody has:
--   psql -d full -v ON_ERROR_STOP=1 -f benches/stored/multiply.sql
-- Ids and keyed hashes get the copy's number in their last four bytes, so that rows which belong together still do;
-- everything else is copied. Sealed documents of copies cannot be opened (their place is authenticated): the load
-- never meets these people. With wal_level = minimal, a truncated table is filled again without a log.
SELECT format(
    'CREATE TEMP TABLE one ON COMMIT DROP AS TABLE %1$I; TRUNCATE %1$I; INSERT INTO %1$I SELECT %2$s FROM one'
    ' CROSS JOIN (SELECT n, int4send(n) AS bytes FROM generate_series(0, 99) AS numbers(n)) AS copy ORDER BY n',
    c.relname,
    string_agg(
        CASE
            WHEN a.atttypid = 'uuid'::regtype THEN format(
                'CASE n WHEN 0 THEN %1$I ELSE encode(overlay(uuid_send(%1$I) PLACING bytes FROM 13 FOR 4), ''hex'')::uuid END',
                a.attname)
            WHEN a.attname IN ('keyed_hash', 'visit_hash') THEN format(
                'CASE n WHEN 0 THEN %1$I ELSE overlay(%1$I PLACING bytes FROM 13 FOR 4) END', a.attname)
            ELSE quote_ident(a.attname)
        END, ', ' ORDER BY a.attnum))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
  AND c.relname IN ('person', 'person_key', 'message_claim', 'stay_claim', 'visit_head', 'message', 'stay', 'settlement',
                    'leg', 'bill', 'person_year', 'accumulator', 'posting', 'roster')
GROUP BY c.relname
\gexec
VACUUM (ANALYZE);
