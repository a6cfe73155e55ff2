"""A payer's service, standard library only (Python 3.11 or later): the adapter protocol, schemas/adapter.openapi.json.

    payer.py --listen 127.0.0.1:9443 --book payer.db [--certificate C --key K --client-ca CA]

To make it yours, change MANIFEST, PEOPLE and what_is_paid. The rest answers the protocol, once for each operation however
often it is sent, and survives kill -9: nothing is answered before SQLite has synced it to the disk.
"""
import argparse, hashlib, json, re, sqlite3, ssl, sys, threading, uuid
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAYER = "supplementary"
MANIFEST = {
    "adapter": "example-payer.py", "version": "1.0.0", "serves": [PAYER],
    "quotes_are_firm": True, "commits_are_idempotent": True, "reverse_window_s": 30 * 24 * 3600,
    "not_found_settles_after_s": 5, "optional": True, "commits_zero": False, "concurrency_max": 8,
    "needs": ["id_number"], "coverage_valid_s": 3600, "quote_p95_ms": 500, "commit_p95_ms": 1500,
}
# Of people: covered (None: nobody knows them), refused, cap of the year. Here those of the kit's test data, and everybody else.
EVERYBODY = (True, False, Decimal("300000.00"))
PEOPLE = {
    "999910195601010012": (False, False, Decimal("300000.00")), "999911195601010019": (None, False, Decimal("0.00")),
    "999905195601010011": (True, True, Decimal("300000.00")), "999909195601010017": (True, False, Decimal("1000.00")),
}
REQUEST_BYTES_MAX, LINES_MAX, CHINA = 4 * 1024 * 1024, 1000, timezone(timedelta(hours=8))


def what_is_paid(leg, left):
    """95 of 100 of what is left in scope, and no more than the gateway and the year's cap allow; with its steps."""
    base = money(leg.get("in_scope_left"), "$.ask.legs[0].in_scope_left")
    share = (base * Decimal("0.95")).quantize(Decimal("0.01"), ROUND_HALF_UP)
    amount = min(share, money(leg.get("pay_at_most"), "$.ask.legs[0].pay_at_most"), left)
    steps = [("base", base), ("band", share)] + ([("remainder", amount)] if amount < share else [])
    return f"{amount:.2f}", [{"what": what, "after": f"{after:.2f}"} for what, after in steps]


class Refusal(Exception):
    """Status, type and place of the problem document (RFC 9457) that a request gets instead of an answer."""


def money(text, place):
    if not isinstance(text, str) or not re.fullmatch(r"\d{1,10}\.\d\d", text):
        raise Refusal(400, "malformed", place)
    return Decimal(text)


def member(message, path, kind=str):
    """A member of a request by its path; another type, or none, is malformed."""
    found = message
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, kind) or (kind is str and not 0 < len(found) <= 64):
        raise Refusal(400, "malformed", "$." + path)
    return found


def refused(code, message):
    return {"answer": "refused", "code": code, "message": message}


class Payer:  # quotes, operations with their first answers, lines of the statement; one transaction at a time
    def __init__(self, book):
        self.turn, self.db = threading.Lock(), sqlite3.connect(book, check_same_thread=False, isolation_level="IMMEDIATE")
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;  -- what is committed is on the disk
            CREATE TABLE IF NOT EXISTS quote (id TEXT PRIMARY KEY, person TEXT, year INT, cap TEXT, amount TEXT, until TEXT, no);
            CREATE TABLE IF NOT EXISTS operation (id TEXT PRIMARY KEY, content TEXT, original TEXT, answer TEXT);
            CREATE TABLE IF NOT EXISTS line (place INTEGER PRIMARY KEY, day, operation, reference, person, year INT, fen INT, at);
            CREATE INDEX IF NOT EXISTS by_original ON operation (original); CREATE INDEX IF NOT EXISTS by_day ON line (day);
            CREATE INDEX IF NOT EXISTS by_person ON line (person, year); CREATE INDEX IF NOT EXISTS by_id ON line (operation);
        """)

    def one(self, sql, *values):
        return self.db.execute(sql, values).fetchone()

    def left(self, person, year, cap):
        fen = self.one("SELECT COALESCE(SUM(fen), 0) FROM line WHERE person = ? AND year = ?", person, year)[0]
        return max(Decimal(cap) - Decimal(fen) / 100, Decimal(0))

    def move(self, operation, kind, person, year, fen):
        """Writes what an operation moves, and answers that it is done."""
        place, at = self.one("SELECT COALESCE(MAX(place), 0) + 1 FROM line")[0], datetime.now(CHINA)
        row = (place, f"{at:%Y-%m-%d}", operation, f"{kind}{at:%Y%m%d}-{place}", person, year, fen, at.isoformat())
        self.db.execute("INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        amounts = [{"payer": PAYER, "amount": f"{abs(Decimal(fen)) / 100:.2f}"}]
        return {"answer": "done", "amounts": amounts, "reference": row[3]}

    def coverage(self, message, now):
        covered = PEOPLE.get(member(message, "question.person.id_number"), EVERYBODY)[0]
        return {"answer": "unknown_person"} if covered is None else {"answer": "covers", "covers": [
            {"payer": p, "in_force": covered and p == PAYER} for p in member(message, "question.payers", list)]}

    visit = lambda *_: {"answer": "noted"}  # the manifest does not ask for visits

    def quote(self, message, now):
        number, legs = member(message, "ask.person.id_number"), member(message, "ask.legs", list)
        money(member(message, "ask.claim.buckets", dict).get("total"), "$.ask.claim.buckets.total")
        if len(legs) != 1 or not isinstance(legs[0], dict) or legs[0].get("payer") != PAYER:
            raise Refusal(400, "malformed", "$.ask.legs")
        covered, is_refused, cap = PEOPLE.get(number, EVERYBODY)
        if not covered:
            return {"answer": "not_covered"}
        person = hashlib.sha256(number.encode()).hexdigest()  # a real service has a customer number of its own
        year, until, quote = member(message, "ask.claim.discharged")[:4], now + timedelta(minutes=30), str(uuid.uuid4())
        with self.turn, self.db:
            amount, steps = what_is_paid(legs[0], self.left(person, year, cap))
            row = (quote, person, year, str(cap), amount, until.isoformat(), is_refused)
            self.db.execute("INSERT INTO quote VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        amounts = [{"payer": PAYER, "amount": amount, "steps": steps}]
        return {"answer": "quote", "quote_id": quote, "valid_until": until.isoformat(), "amounts": amounts}

    def once(self, message, original, decide):
        """The first answer again, or what is decided now: in one transaction with what it moves."""
        operation, stay, quote = member(message, "operation_id"), member(message, "stay"), message.get("quote_id")
        parts = member(message, "amounts", list)
        amounts = sorted((member(part, "payer"), str(money(part.get("amount"), "$.amounts"))) for part in parts)
        content = json.dumps([stay, original, quote, amounts])
        with self.turn, self.db:
            known = self.one("SELECT content, answer FROM operation WHERE id = ?", operation)
            if known and known[0] != content:
                raise Refusal(409, "operation_conflict", "$.operation_id")
            answer = json.loads(known[1]) if known else decide(operation, str(quote), amounts)
            row = (operation, content, original, json.dumps(answer))
            self.db.execute("INSERT OR IGNORE INTO operation VALUES (?, ?, ?, ?)", row)
            return answer

    def commit(self, message, now):
        def decide(operation, quote, amounts):
            quoted = self.one("SELECT person, year, cap, amount, until, no FROM quote WHERE id = ?", quote)
            if self.one("SELECT 1 FROM operation WHERE original = ?", operation):
                return refused("reversed_before", "已先行冲正，不再办理")
            if not quoted or amounts != [(PAYER, quoted[3])]:
                return refused("quote_unknown", "没有这笔试算，或金额不符")
            person, year, cap, amount, until, is_refused = quoted
            if datetime.fromisoformat(until) <= now:
                return refused("quote_expired", "试算已过期")
            if is_refused:
                return refused("waiting_period", "等待期内不予赔付")
            if self.left(person, year, cap) < Decimal(amount):
                return refused("cap_reached", "年度限额不足")
            return self.move(operation, "P", person, year, int(Decimal(amount) * 100))
        return self.once(message, None, decide)

    def reverse(self, message, now):
        original = member(message, "original_operation_id")
        def decide(operation, quote, amounts):
            line = self.one("SELECT person, year, fen, at FROM line WHERE operation = ? AND reference LIKE 'P%'", original)
            if not line:  # it never came, or was refused: nothing to take back, and that is remembered
                return {"answer": "done", "amounts": [], "reference": f"R-{operation}"}
            if self.one("SELECT 1 FROM line JOIN operation ON operation = id WHERE original = ?", original):
                return refused("already_reversed", "已冲正，不再重复")
            person, year, fen, at = line
            if timedelta(seconds=MANIFEST["reverse_window_s"]) < now - datetime.fromisoformat(at):
                return refused("window_closed", "已超过冲正期限")
            return self.move(operation, "R", person, year, -fen)
        return self.once(message, original, decide)

    def status(self, message, now):
        with self.turn:
            known = self.one("SELECT answer FROM operation WHERE id = ?", member(message, "operation_id"))
        return json.loads(known[0]) if known else {"answer": "not_found"}

    def statement(self, day, after):
        sql = "SELECT place, operation, reference, fen, at FROM line WHERE day = ? AND place > ? ORDER BY place LIMIT ?"
        with self.turn:
            rows = self.db.execute(sql, (day, after, LINES_MAX + 1)).fetchall()
        lines = [{"operation_id": operation, "reference": reference, "payer": PAYER, "at": at,
                  "amount": f"{Decimal(fen) / 100:.2f}"} for _, operation, reference, fen, at in rows[:LINES_MAX]]
        return {"day": day, "lines": lines} | ({"next": str(rows[-2][0])} if LINES_MAX < len(rows) else {})


class Handler(BaseHTTPRequestHandler):
    protocol_version, timeout, disable_nagle_algorithm, wbufsize = "HTTP/1.1", 60, True, -1

    def setup(self):
        if self.server.tls:  # in a thread of its own: a slow handshake holds nobody up
            self.request.settimeout(5)
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def answered(self):
        length = min(max(int(self.headers.get("Content-Length") or 0), 0), 4 * REQUEST_BYTES_MAX)
        body = self.rfile.read(length)
        if len(body) < length:  # the connection broke off: nothing is begun
            self.close_connection = True
            return
        try:
            status, answer = 200, self.asked(body)
        except Refusal as why:
            status, answer = why.args[0], dict(zip(("status", "type", "place"), why.args), title=why.args[1].replace("_", " "))
        except Exception:  # a defect of ours, told without a word of the request
            status, answer = 500, {"status": 500, "type": "failed", "title": "failed"}
        said = json.dumps(answer, ensure_ascii=False).encode()
        sys.stderr.write(f"{datetime.now(CHINA).isoformat()} {self.command} {self.path.split('?')[0]} {status}\n")  # of nobody
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_GET = do_POST = answered

    def asked(self, body):
        address, payer, now = urlsplit(self.path), self.server.payer, datetime.now(timezone.utc)
        verb = address.path.removeprefix("/v1/")
        if verb not in ("describe", "statement", "coverage", "visit", "quote", "commit", "reverse", "status"):
            raise Refusal(404, "unknown_verb")
        if (self.command == "GET") != (verb in ("describe", "statement")):
            raise Refusal(405, "method_not_allowed")
        if verb == "describe":
            return {"protocol": "1", "manifest": MANIFEST}
        try:
            if verb == "statement":
                query = parse_qs(address.query)
                return payer.statement(date.fromisoformat(query["day"][0]).isoformat(), int(query.get("after", "0")[0]))
            if REQUEST_BYTES_MAX < len(body):
                raise Refusal(413, "too_large")
            if self.headers.get_content_type() != "application/json":
                raise Refusal(415, "unsupported_media_type")
            message = json.loads(body)
            if datetime.fromisoformat(message["head"]["deadline"]) <= now:
                raise Refusal(400, "deadline_passed", "$.head.deadline")
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Refusal(400, "malformed", "$") from None
        return getattr(payer, verb)(message, now)

    log_message = lambda *_: None  # what is asked, or fails, may be a person's: answered() writes the log


class Server(ThreadingHTTPServer):
    request_queue_size, daemon_threads, tls = 128, True, None
    handle_error = lambda *_: None  # a connection that broke, or showed no certificate


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="A payer of yizhan, as an example.")
    for name in ("--listen", "--book", "--certificate", "--key", "--client-ca"):
        options.add_argument(name, required=name in ("--listen", "--book"))
    options = options.parse_args()
    host, port = options.listen.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    server.payer = Payer(options.book)
    if options.certificate:
        server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.client_ca)
        server.tls.verify_mode = ssl.CERT_REQUIRED  # whoever shows no certificate of this CA gets no answer
        server.tls.load_cert_chain(options.certificate, options.key)
    elif host not in ("127.0.0.1", "localhost"):
        sys.exit("without certificates it serves this machine alone")
    server.serve_forever()
