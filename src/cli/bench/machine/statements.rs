//! The statements of one settlement as `pgbench` sends them: those of [`crate::store::postgres`] for a document
//! of a person on the roster, in the same three round trips, with as many bytes. Before it, as often as in the
//! gateway's own tables, goes a message that only adds to the stay.
//!
//! Five things differ, all to pgbench's advantage: it does not know a person's version, so it does not check
//! it; nobody comes to it under a number it has not met; nothing of what it reads is looked at; what the gateway
//! looks up before a step is left out; and what a hospital is to be told is written, but nobody is told. `tests/it/bench/statements.rs` holds both against the server's log.

use std::fmt::Write as _;

/// People it settles for.
pub(super) const PEOPLE: u32 = 20_000;

/// What a settlement is made of, on average.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) raw_bytes: i64,
    pub(super) answer_bytes: i64,
    pub(super) stay_bytes: i64,
    pub(super) bill_bytes: i64,
    pub(super) postings: i64,
    /// Messages for a hundred settlements, beyond one for each.
    pub(super) more_messages: i64,
}

/// Asked of the gateway's own tables.
pub(super) const SIZES: &str = "SELECT
    (SELECT coalesce(avg(octet_length(raw)), 0)::bigint FROM message),
    (SELECT coalesce(avg(octet_length(answer)), 0)::bigint FROM message),
    (SELECT coalesce(avg(octet_length(document)), 0)::bigint FROM stay),
    (SELECT coalesce(avg(octet_length(document)), 0)::bigint FROM bill),
    (SELECT count(*) FROM posting) / greatest((SELECT count(*) FROM settlement), 1),
    (SELECT count(*) FROM message) * 100 / greatest((SELECT count(*) FROM settlement), 1) - 100";

/// Tables like the gateway's, in a schema of their own, with people on a roster.
pub(super) fn tables(schema: &str) -> String {
    let mut sql = format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema};\n");
    for table in [
        "person",
        "person_key",
        "message_claim",
        "stay_claim",
        "visit_head",
        "message",
        "stay",
        "settlement",
        "leg",
        "bill",
        "person_year",
        "accumulator",
        "reserved_year",
        "reservation",
        "posting",
        "outbox",
        "generation",
        "roster",
        "opening",
        "catalogue",
        "catalogue_scope",
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(sql, "CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL);");
    }
    let id = "lpad(to_hex(n), 32, '0')";
    let _ = write!(
        sql,
        "CREATE TABLE {schema}.one (a integer);
         INSERT INTO {schema}.generation SELECT * FROM public.generation;
         INSERT INTO {schema}.catalogue SELECT * FROM public.catalogue;
         INSERT INTO {schema}.catalogue_scope SELECT * FROM public.catalogue_scope;
         INSERT INTO {schema}.person (person_id, wrapped_key, has_id_number)
           SELECT {id}::uuid, wrapped_key, true FROM generate_series(1, {PEOPLE}) n,
             (SELECT wrapped_key FROM public.person LIMIT 1) sample;
         INSERT INTO {schema}.person_key
           SELECT decode({id}, 'hex'), kind, key_version, {id}::uuid, reference
           FROM generate_series(1, {PEOPLE}) n, (SELECT * FROM public.person_key LIMIT 1) sample;
         INSERT INTO {schema}.roster
           SELECT {id}::uuid, generation, region, entitlements, name
           FROM generate_series(1, {PEOPLE}) n, (SELECT * FROM public.roster LIMIT 1) sample;
         ANALYZE {schema}.person; ANALYZE {schema}.person_key; ANALYZE {schema}.roster;"
    );
    sql
}

/// One settlement. `:seq` counts a client's own; `raw`, `answer`, `stay` and `bill` are given with `-D`.
pub(super) fn script(sizes: Sizes) -> String {
    let of = Named::new();
    let noted = stay(&of);
    let settled =
        [noted.clone(), bill(&of), postings(&of, sizes.postings), outbox(&of), sums(&of)].join("\n");
    format!(
        "\\set seq :seq + 1
\\set person random(1, {PEOPLE})
\\if random(1, 100) <= {more}
{noted}\\set seq :seq + 1
\\endif
{settled}",
        more = sizes.more_messages,
        noted = message(&of, &noted),
        settled = message(&of, &settled),
    )
}

/// What the rows of one message are called.
struct Named {
    new: String,
    hash: String,
    known: String,
    person: String,
}

impl Named {
    fn new() -> Self {
        // Later ones sort later, as those of the gateway do.
        let id = "lpad(to_hex(:seq::bigint * 1000 + :client_id::bigint), 32, '0')";
        let known = "lpad(to_hex(:person::bigint), 32, '0')";
        Self {
            new: format!("{id}::uuid"),
            hash: format!("decode({id}, 'hex')"),
            known: known.to_owned(),
            person: format!("{known}::uuid"),
        }
    }
}

/// One message: two rounds of reading, one of writing.
fn message(of: &Named, writes: &str) -> String {
    let Named { new, hash, known, person } = of;
    let questions = format!(
        "SELECT person_id, message_id, digest FROM message_claim WHERE keyed_hash = {hash};
SELECT person_id, stay_id FROM stay_claim WHERE keyed_hash = {hash} AND admitted IN ('2020-06-01', '-infinity')
  ORDER BY coalesce(admitted = '2020-06-01', false) DESC, admitted = '-infinity' DESC, admitted DESC LIMIT 1;
SELECT keyed_hash, kind, person_id FROM person_key WHERE keyed_hash = ANY(ARRAY[decode({known}, 'hex')])
  AND key_version = 1 ORDER BY keyed_hash, kind;"
    );
    format!(
        "\\startpipeline
{questions}
\\endpipeline
\\startpipeline
{reads}
{questions}
\\endpipeline
\\startpipeline
BEGIN;
{writes}
INSERT INTO message_claim (keyed_hash, digest, person_id, message_id) VALUES ({hash}, {hash}, {person}, {new});
INSERT INTO message (person_id, message_id, received_at, origin, raw, answer)
  VALUES ({person}, {new}, now(), {hash}, :raw, :answer) ON CONFLICT (person_id, message_id) DO NOTHING;
COMMIT;
\\endpipeline
",
        reads = reads(&format!("ARRAY[{person}]")),
    )
}

fn reads(people: &str) -> String {
    format!(
        "SELECT p.person_id, p.version, p.wrapped_key, p.has_id_number,
    (SELECT greatest(max(s.settled_number), count(s.settled_number)::integer)
     FROM settlement s WHERE s.person_id = p.person_id)
  FROM person p WHERE p.person_id = ANY({people});
SELECT DISTINCT ON (r.person_id) r.person_id, r.generation, r.region, r.entitlements, r.name,
    (SELECT min(later.as_of) FROM generation later WHERE later.register = 'roster'
     AND later.is_snapshot AND later.visible_at IS NOT NULL AND later.generation > r.generation)
  FROM roster r JOIN generation g ON g.generation = r.generation
  WHERE r.person_id = ANY({people}) AND g.visible_at IS NOT NULL ORDER BY r.person_id, r.generation DESC;
SELECT 'year', person_id, year, 0::bigint, admissions, '', '0', 0::bigint FROM person_year
    WHERE person_id = ANY({people})
  UNION ALL
  SELECT 'used', person_id, year, 0, 0, payer, base::text, paid FROM accumulator WHERE person_id = ANY({people})
  UNION ALL
  SELECT 'reserved year', person_id, year, 0, admissions, '', '0', 0 FROM reserved_year
    WHERE person_id = ANY({people})
  UNION ALL
  SELECT 'reserved', person_id, year, 0, 0, payer, base::text, paid FROM reservation WHERE person_id = ANY({people})
  UNION ALL
  SELECT 'opening', o.person_id, o.year, o.generation, o.admissions, o.payer, o.base::text, o.paid
    FROM opening o JOIN generation g ON g.generation = o.generation
    WHERE o.person_id = ANY({people}) AND g.visible_at IS NOT NULL
  ORDER BY 4;
SELECT person_id, version FROM person WHERE person_id = ANY({people});"
    )
}

/// All that a message writes that only adds to its stay.
fn stay(Named { new, hash, person, .. }: &Named) -> String {
    format!(
        "WITH touched AS (UPDATE person SET version = version + 1,
    last_steps = CASE WHEN NULL::uuid IS NULL THEN last_steps ELSE array_prepend(NULL::uuid, last_steps) END
  WHERE person_id = {person} RETURNING 1) SELECT 1 / count(*) FROM touched;
INSERT INTO visit_head AS visit (keyed_hash, changes) VALUES ({hash}, 1)
  ON CONFLICT (keyed_hash) DO UPDATE SET changes = visit.changes + 1;
SELECT 1 / count(*) FROM (SELECT (SELECT stay_id FROM stay_claim WHERE keyed_hash = {hash}
    AND admitted IN ('2020-06-01', '-infinity') ORDER BY admitted DESC LIMIT 1)) AS now (stay_id)
  WHERE stay_id IS NOT DISTINCT FROM NULL;
WITH claimed AS (INSERT INTO stay_claim AS c (keyed_hash, admitted, person_id, stay_id)
    VALUES ({hash}, '2020-06-01', {person}, {new})
    ON CONFLICT (keyed_hash, admitted) DO UPDATE SET person_id = excluded.person_id
      WHERE c.stay_id = excluded.stay_id RETURNING 1) SELECT 1 / count(*) FROM claimed;
INSERT INTO stay (person_id, stay_id, hospital, admitted, document, visit_hash, settlement_id, epoch, needs_attention)
  VALUES ({person}, {new}, 'H37132301', '2020-06-01', :stay, {hash}, {new}, 0, false)
  ON CONFLICT (person_id, stay_id) DO UPDATE SET document = excluded.document;"
    )
}

fn bill(Named { new, person, .. }: &Named) -> String {
    format!(
        "INSERT INTO settlement (person_id, settlement_id, stay_id, hospital, version, state, day, total, patient_share,
    benefit_year, settled_number)
  VALUES ({person}, {new}, {new}, 'H37132301', 1, 'settled', '2020-06-11', 1234567, 123456, 2020, 1)
  ON CONFLICT (person_id, settlement_id) DO UPDATE SET version = excluded.version;
WITH gone AS (DELETE FROM leg WHERE person_id = {person} AND settlement_id = {new}
    AND payer <> ALL('{{basic,critical_illness,medical_assistance,provider_waiver,supplementary}}'::text[]))
  INSERT INTO leg (person_id, settlement_id, payer, state, paid) SELECT {person}, {new}, payer, 'committed', 12345
  FROM unnest('{{basic,critical_illness,medical_assistance,provider_waiver,supplementary}}'::text[]) AS of (payer)
  ON CONFLICT (person_id, settlement_id, payer) DO UPDATE SET state = excluded.state, paid = excluded.paid;
INSERT INTO bill (person_id, settlement_id, version, document) VALUES ({person}, {new}, 1, :bill)
  ON CONFLICT (person_id, settlement_id, version) DO UPDATE SET document = excluded.document;"
    )
}

// Accounts with points: pgbench takes a colon in a text for a variable.
fn postings(Named { new, person, .. }: &Named, count: i64) -> String {
    let debits: Vec<String> = (0..count).map(|nth| format!("fund.payer_{nth}.371323")).collect();
    format!(
        "INSERT INTO posting (person_id, settlement_id, version, day, debit, credit, kind, amount)
  SELECT {person}, {new}, 1, '2020-06-11', debit, 'hospital.H37132301', 'settlement', 12345
  FROM unnest('{{{debits}}}'::text[]) AS of (debit);",
        debits = debits.join(","),
    )
}

fn outbox(Named { new, person, .. }: &Named) -> String {
    format!(
        "INSERT INTO outbox (person_id, stay_id, version, outbox_id, hospital, settlement_id, due_at)
  VALUES ({person}, {new}, 1, {new}, 'H37132301', {new}, now());"
    )
}

fn sums(Named { person, .. }: &Named) -> String {
    format!(
        "INSERT INTO person_year (person_id, year, admissions) VALUES ({person}, 2020, 1)
  ON CONFLICT (person_id, year) DO UPDATE SET admissions = excluded.admissions;
INSERT INTO accumulator (person_id, year, payer, base, paid) SELECT {person}, 2020, payer, 12345.67, 12345
  FROM unnest('{{basic,critical_illness,medical_assistance,provider_waiver,supplementary}}'::text[]) AS of (payer)
  ON CONFLICT (person_id, year, payer) DO UPDATE SET base = excluded.base, paid = excluded.paid;"
    )
}
