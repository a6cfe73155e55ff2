"""An insurer's core system as a stand-in, standard library only (Python 3.11 or later): the JSON interface that
mapping-json.toml describes, with its own signature check and a book that survives kill -9.

    insurer.py --listen 127.0.0.1:9080 --book insurer.db --secret anxin.key

It knows nothing of the adapter protocol: the mapping makes an adapter of it.
"""
import argparse, hashlib, hmac, json, sqlite3, threading, uuid
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CHINA, LINES_MAX, SKEW_S = timezone(timedelta(hours=8)), 500, 300
# Covered (None: nobody knows), refused, cap of the year in fen: the people of the kit's test data, and everybody else.
EVERYBODY = (True, False, 30_000_000)
PEOPLE = {
    "999910195601010012": (False, False, 30_000_000),
    "999905195601010011": (True, True, 30_000_000),
    "999909195601010017": (True, False, 100_000),
    "999911195601010019": (None, False, 0),
}
NOT_FOUND = {"code": "N3", "msg": "查无此笔"}


def written(moment):
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def refused(reason, message):
    return {"code": "E1", "msg": message, "data": {"reason": reason}}


class Insurer:
    def __init__(self, book):
        self.turn, self.db = threading.Lock(), sqlite3.connect(book, check_same_thread=False, isolation_level="IMMEDIATE")
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS calc (no TEXT PRIMARY KEY, person TEXT, year TEXT, pay INT, until TEXT, policy TEXT);
            CREATE TABLE IF NOT EXISTS request (id TEXT PRIMARY KEY, settled TEXT, answer TEXT);
            CREATE TABLE IF NOT EXISTS line (no INTEGER PRIMARY KEY, request TEXT, of TEXT, person TEXT, year TEXT, fen INT, at TEXT);
            CREATE INDEX IF NOT EXISTS by_person ON line (person, year); CREATE INDEX IF NOT EXISTS by_of ON line (of);
            CREATE INDEX IF NOT EXISTS by_request ON line (request); CREATE INDEX IF NOT EXISTS by_settled ON request (settled);
        """)

    def one(self, sql, *values):
        return self.db.execute(sql, values).fetchone()

    def left(self, person, year):
        cap = PEOPLE.get(person, EVERYBODY)[2]
        return cap - self.one("SELECT COALESCE(SUM(fen), 0) FROM line WHERE person = ? AND year = ?", person, year)[0]

    def once(self, request, settled, decide):
        """The first answer again, or what is decided now, in one transaction with what it moves."""
        with self.turn, self.db:
            known = self.one("SELECT answer FROM request WHERE id = ?", request)
            answer = json.loads(known[0]) if known else decide()
            self.db.execute("INSERT OR IGNORE INTO request VALUES (?, ?, ?)", (request, settled, json.dumps(answer)))
            return answer

    def move(self, request, of, person, year, fen):
        row = (request, of, person, year, fen, written(datetime.now(CHINA)))
        return self.db.execute("INSERT INTO line (request, of, person, year, fen, at) VALUES (?, ?, ?, ?, ?, ?)", row).lastrowid

    def policy(self, asked):
        year = asked["day"][:4]
        covered = PEOPLE.get(asked["certNo"], EVERYBODY)[0]
        if not covered:
            return {"code": "N2", "msg": "查无此人"} if covered is None else {"code": "N1", "msg": "不在保"}
        return {"code": "00", "msg": "", "data": {"from": f"{year}-01-01", "to": f"{year}-12-31"}}

    def calc(self, asked):
        person, year = asked["insured"]["certNo"], asked["discharged"][:4]
        if not PEOPLE.get(person, EVERYBODY)[0]:
            return {"code": "N1", "msg": "不在保"}
        until, no = written(datetime.now(CHINA) + timedelta(minutes=30)), str(uuid.uuid4())
        with self.turn, self.db:
            # 95 of 100, in whole fen; never more than is left to be paid, or of the year's cap.
            share = (round(asked["base"] * 100) * 95 + 50) // 100
            pay = max(min(share, asked["payAtMost"], self.left(person, year)), 0)
            policy = "BD" + hashlib.sha256(person.encode()).hexdigest()[:12]
            self.db.execute("INSERT INTO calc VALUES (?, ?, ?, ?, ?, ?)", (no, person, year, pay, until, policy))
        return {"code": "00", "msg": "", "data": {"calcNo": no, "validUntil": until, "pay": pay, "policyNo": policy}}

    def settle(self, asked):
        def decide():
            found = self.one("SELECT person, year, pay, until, policy FROM calc WHERE no = ?", asked["calcNo"])
            if self.one("SELECT 1 FROM request WHERE settled = ?", asked["reqNo"]):
                return refused("cancelled", "已先行撤销")
            if not found or (asked["certNo"], asked["pay"], asked["policyNo"]) != (found[0], found[2], found[4]):
                return refused("no_calc", "没有这笔试算，或内容不符")
            person, year, pay, until, _ = found
            if until <= written(datetime.now(CHINA)):
                return refused("calc_expired", "试算已过期")
            if PEOPLE.get(person, EVERYBODY)[1]:
                return refused("waiting_period", "等待期内不予赔付")
            if self.left(person, year) < pay:
                return refused("cap_reached", "年度限额不足")
            no = self.move(asked["reqNo"], None, person, year, pay)
            return {"code": "00", "msg": "", "data": {"paid": pay, "settleNo": f"JS{no}"}}
        return self.once(asked["reqNo"], None, decide)

    def cancel(self, asked):
        def decide():
            line = self.one("SELECT person, year, fen FROM line WHERE request = ? AND of IS NULL", asked["settleReqNo"])
            if not line:
                return {"code": "N4", "msg": "无可撤销"}
            if self.one("SELECT 1 FROM line WHERE of = ?", asked["settleReqNo"]):
                return refused("cancelled", "已撤销")
            if line[2] != asked["pay"]:
                return refused("wrong_sum", "撤销金额不符")
            no = self.move(asked["reqNo"], asked["settleReqNo"], line[0], line[1], -line[2])
            return {"code": "00", "msg": "", "data": {"cancelNo": f"CX{no}"}}
        answer = self.once(asked["reqNo"], asked["settleReqNo"], decide)
        return NOT_FOUND if answer["code"] == "N4" else answer

    def found(self, request):
        with self.turn:
            known = self.one("SELECT answer FROM request WHERE id = ?", request)
        return json.loads(known[0]) if known else NOT_FOUND

    def book(self, day, after):
        sql = "SELECT no, request, of, fen, at FROM line WHERE substr(at, 1, 10) = ? AND no > ? ORDER BY no LIMIT ?"
        with self.turn:
            rows = self.db.execute(sql, (day, int(after or 0), LINES_MAX + 1)).fetchall()
        lines = [{"reqNo": request, "no": f"{'CX' if of else 'JS'}{no}", "amount": fen, "at": at}
                 for no, request, of, fen, at in rows[:LINES_MAX]]
        data = {"lines": lines} | ({"next": str(rows[LINES_MAX - 1][0])} if LINES_MAX < len(rows) else {})
        return {"code": "00", "msg": "", "data": data}


class Handler(BaseHTTPRequestHandler):
    protocol_version, timeout, disable_nagle_algorithm, wbufsize = "HTTP/1.1", 60, True, -1

    def is_signed(self, body):
        """HMAC-SHA256 over method, path, time, nonce and body, at a time near ours, and never twice."""
        at, nonce = self.headers.get("X-Timestamp", ""), self.headers.get("X-Nonce", "")
        signed = "\n".join([self.command, self.path, at, nonce, ""]).encode() + body
        right = hmac.new(self.server.secret, signed, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, self.headers.get("X-Signature", "")) or not at.isdigit():
            return False
        now = datetime.now(timezone.utc).timestamp()
        with self.server.insurer.turn:
            is_new = nonce not in self.server.nonces
            self.server.nonces.add(nonce)
        return is_new and abs(now - int(at)) < SKEW_S

    def answered(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = (200, self.asked(body)) if self.is_signed(body) else (401, {"code": "S1", "msg": "签名无效"})
        said = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    do_GET = do_POST = answered

    def asked(self, body):
        insurer, address = self.server.insurer, urlsplit(self.path)
        path, query = address.path.removeprefix("/onestop"), parse_qs(address.query)
        match self.command, path.split("/")[1:]:
            case "POST", ["policy", "query"]:
                return insurer.policy(json.loads(body))
            case "POST", ["claim", "calc"]:
                return insurer.calc(json.loads(body))
            case "POST", ["claim", "settle" | "cancel" as what]:
                asked = json.loads(body)
                return getattr(insurer, what)(asked) | {"reqNo": asked["reqNo"]}
            case "GET", ["claim", "settle" | "cancel", request]:
                return insurer.found(request) | {"reqNo": request}
            case "GET", ["claim", "book"]:
                return insurer.book(query["day"][0], query.get("after", [""])[0])
        return {"code": "S1", "msg": "没有这个接口"}

    log_message = lambda *_: None  # what is asked is a person's


class Server(ThreadingHTTPServer):
    request_queue_size, daemon_threads = 128, True


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="An insurer's own JSON interface, as an example.")
    for name in ("--listen", "--book", "--secret"):
        options.add_argument(name, required=True)
    options = options.parse_args()
    host, port = options.listen.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    server.insurer, server.nonces = Insurer(options.book), set()
    with open(options.secret, "rb") as secret:
        server.secret = secret.read().rstrip(b"\r\n")
    server.serve_forever()
