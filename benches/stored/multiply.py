"""Makes a hundred of every stay in a file that `yizhan bench --stored` has filled, under keys that nobody has:

    python3 benches/stored/multiply.py full.db

As multiply.sql does for PostgreSQL, whose comment says what is copied and what is not.
"""

import sqlite3
import sys

KEYS = {"person_id", "stay_id", "settlement_id", "message_id", "outbox_id", "keyed_hash", "visit_hash"}
TABLES = ["person", "person_key", "message_claim", "stay_claim", "message", "stay", "settlement", "leg", "bill",
          "person_year", "accumulator", "posting", "roster"]
COPIES = 100
COPIES_A_COMMIT = 10

store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY;")
for table in TABLES:
    columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
    copied = [f"CASE WHEN {c} IS NULL THEN NULL ELSE CAST(substr({c}, 1, 12) || ?1 || substr({c}, 17) AS BLOB) END"
              if c in KEYS else c for c in columns]
    store.execute(f"CREATE TEMP TABLE one AS SELECT * FROM {table}")
    for copy in range(1, COPIES):
        if copy % COPIES_A_COMMIT == 1:
            store.execute("BEGIN")
        store.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(copied)} FROM temp.one",
                      (copy.to_bytes(4, "big"),))
        if copy % COPIES_A_COMMIT == 0 or copy == COPIES - 1:
            store.execute("COMMIT")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    store.execute("DROP TABLE temp.one")
    print(table, flush=True)
