"""An older insurer's core system as a stand-in, standard library only (Python 3.11 or later): the XML interface in GB18030 that
mapping-xml.toml describes. One address, the transaction is named inside; two kinds of insurance are paid together.

    insurer_xml.py --listen 127.0.0.1:9081 --book kangtai.db

It knows nothing of the adapter protocol, has no numbers of its own for calculations, and books whatever it is sent as often as it
is sent it: the mapping promises no more.
"""
import argparse, re, sqlite3, threading
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

CHINA, LINES_MAX, FEN = timezone(timedelta(hours=8)), 500, Decimal("0.01")
# Covered, refused, cap of the year for each kind: the people of the kit's test data, and everybody else.
EVERYBODY = (True, False, Decimal("300000.00"))
PEOPLE = {
    "999910195601010012": (False, False, Decimal("300000.00")),
    "999905195601010011": (True, True, Decimal("300000.00")),
    "999909195601010017": (True, False, Decimal("1000.00")),
}
NOT_FOUND = ("404", [("Message", "查无此笔")])


def written(moment):
    return f"{moment:%Y%m%d%H%M%S}"


def refused(reason, message):
    return "200", [("Reason", reason), ("Message", message)]


def text(element, path):
    return (element.findtext(path) or "").strip()


def voucher(serial, fen):
    return ("撤" if fen < 0 else "付") + serial


def kinds(pays):
    """The amount of each kind, and their sum."""
    each = "".join(f"<Kind code={quoteattr(kind)}><Pay>{pay}</Pay></Kind>" for kind, pay in pays.items())
    return [("Kinds", each), ("Total", sum(pays.values(), Decimal("0.00")))]


class Insurer:
    def __init__(self, book):
        self.turn, self.db = threading.Lock(), sqlite3.connect(book, check_same_thread=False, isolation_level="IMMEDIATE")
        self.db.executescript("""
            PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS stay (no TEXT PRIMARY KEY, person TEXT, year TEXT, until TEXT);
            CREATE TABLE IF NOT EXISTS calc (stay TEXT, kind TEXT, fen INT, PRIMARY KEY (stay, kind));
            CREATE TABLE IF NOT EXISTS serial (no TEXT PRIMARY KEY, of TEXT, code TEXT, reason TEXT);
            CREATE TABLE IF NOT EXISTS line (no INTEGER PRIMARY KEY, serial TEXT, person TEXT, year TEXT, kind TEXT, fen INT, at TEXT);
            CREATE INDEX IF NOT EXISTS by_person ON line (person, year); CREATE INDEX IF NOT EXISTS by_serial ON line (serial);
            CREATE INDEX IF NOT EXISTS by_of ON serial (of); CREATE INDEX IF NOT EXISTS by_day ON line (at);
        """)

    def all(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def one(self, sql, *values):
        return self.db.execute(sql, values).fetchone()

    def left(self, person, year, kind):
        used = self.one("SELECT COALESCE(SUM(fen), 0) FROM line WHERE (person, year, kind) = (?, ?, ?)", person, year, kind)
        return PEOPLE.get(person, EVERYBODY)[2] - used[0] * FEN

    def pays(self, serial):
        return {kind: abs(fen) * FEN for kind, fen in self.all("SELECT kind, fen FROM line WHERE serial = ? ORDER BY no", serial)}

    def admit(self, asked):
        return "0", [("Case", "案" + text(asked, "Stay"))]

    def calc(self, asked):
        """95 of 100 of each kind's base, one after the other, within what may be paid and what is left of the year."""
        person, year, stay = text(asked, "Person/Cert"), text(asked, "Discharged")[:4], text(asked, "Stay")
        if not PEOPLE.get(person, EVERYBODY)[0]:
            return "100", [("Message", "不在保")]
        until, pays, together = datetime.now(CHINA) + timedelta(minutes=30), {}, None
        for kind in asked.findall("Kinds/Kind"):
            code, base, most = kind.get("code"), Decimal(kind.text), Decimal(kind.get("most"))
            together = base if together is None else together
            share = (base * Decimal("0.95")).quantize(FEN, ROUND_HALF_UP)
            pays[code] = max(min(share, most, together, self.left(person, year, code)), Decimal("0.00"))
            together -= pays[code]
        self.db.execute("INSERT OR REPLACE INTO stay VALUES (?, ?, ?, ?)", (stay, person, year, written(until)))
        self.db.execute("DELETE FROM calc WHERE stay = ?", (stay,))
        self.db.executemany("INSERT INTO calc VALUES (?, ?, ?)", [(stay, kind, int(pay / FEN)) for kind, pay in pays.items()])
        return "0", kinds(pays)

    def settle(self, asked):
        serial, stay, person = text(asked, "Serial"), text(asked, "Stay"), text(asked, "Cert")
        known = self.one("SELECT person, year, until FROM stay WHERE no = ?", stay)
        pays = {kind.get("code"): Decimal(kind.text) for kind in asked.findall("Kinds/Kind")}
        calculated = {kind: fen * FEN for kind, fen in self.all("SELECT kind, fen FROM calc WHERE stay = ?", stay)}
        if self.one("SELECT 1 FROM serial WHERE of = ?", serial):
            answer = refused("cancelled", "已先行撤销")
        elif not known or known[0] != person or pays != calculated:
            answer = refused("no_calc", "没有这笔试算，或内容不符")
        elif known[2] <= written(datetime.now(CHINA)):
            answer = refused("calc_expired", "试算已过期")
        elif PEOPLE.get(person, EVERYBODY)[1]:
            answer = refused("waiting_period", "等待期内不予赔付")
        elif any(self.left(person, known[1], kind) < pay for kind, pay in pays.items()):
            answer = refused("cap_reached", "年度限额不足")
        else:
            self.book(serial, person, known[1], pays)
            answer = "0", [("No", voucher(serial, 1)), *kinds(pays)]
        self.keep(serial, None, answer)
        return answer

    def cancel(self, asked):
        serial, of = text(asked, "Serial"), text(asked, "Of")
        pays, first = self.pays(of), self.one("SELECT person, year FROM line WHERE serial = ?", of)
        if not first:
            answer = NOT_FOUND
        elif self.one("SELECT 1 FROM serial WHERE of = ? AND code = '0'", of):
            answer = refused("cancelled", "已撤销")
        elif sum(pays.values()) != Decimal(text(asked, "Total")):
            answer = refused("wrong_sum", "撤销金额不符")
        else:
            self.book(serial, *first, {kind: -pay for kind, pay in pays.items()})
            answer = "0", [("No", voucher(serial, -1))]
        self.keep(serial, of, answer)
        return answer

    def book(self, serial, person, year, pays):
        at = written(datetime.now(CHINA))
        rows = [(serial, person, year, kind, int(pay / FEN), at) for kind, pay in pays.items()]
        self.db.executemany("INSERT INTO line (serial, person, year, kind, fen, at) VALUES (?, ?, ?, ?, ?, ?)", rows)

    def keep(self, serial, of, answer):
        reason = next((said for name, said in answer[1] if name == "Reason"), "")
        self.db.execute("INSERT OR REPLACE INTO serial VALUES (?, ?, ?, ?)", (serial, of, answer[0], reason))

    def query(self, asked):
        serial = text(asked, "Serial")
        match self.one("SELECT code, reason FROM serial WHERE no = ? AND of IS NULL", serial):
            case ("0", _):
                return "0", [("No", voucher(serial, 1)), *kinds(self.pays(serial))]
            case (_, reason):
                return refused(reason, "已拒绝")
        return NOT_FOUND

    def querycancel(self, asked):
        """Code 410 where there was nothing to cancel: unlike 404, the cancellation itself is known."""
        serial = text(asked, "Serial")
        match self.one("SELECT code, reason FROM serial WHERE no = ? AND of IS NOT NULL", serial):
            case ("0", _):
                return "0", [("No", voucher(serial, -1))]
            case ("404", _):
                return "410", []
            case (_, reason):
                return refused(reason, "已拒绝")
        return NOT_FOUND

    def daybook(self, asked):
        sql = "SELECT no, serial, kind, fen, at FROM line WHERE substr(at, 1, 8) = ? AND no > ? ORDER BY no LIMIT ?"
        rows = self.all(sql, text(asked, "Day"), int(text(asked, "After") or 0), LINES_MAX + 1)
        line = '<Line serial={} kind={} at="{}"><No>{}</No><Amount>{}</Amount></Line>'
        lines = [line.format(quoteattr(serial), quoteattr(kind), at, escape(voucher(serial, fen)), fen * FEN)
                 for _, serial, kind, fen, at in rows]
        after = [("Next", rows[LINES_MAX - 1][0])] if LINES_MAX < len(rows) else []
        return "0", [("Lines", "".join(lines[:LINES_MAX])), *after]

    def asked(self, body):
        said = re.sub(r"^\s*<\?xml[^>]*\?>", "", body.decode("gb18030"))
        if "<!DOCTYPE" in said:
            return "900", [("Message", "不接受 DOCTYPE")]
        request = ET.fromstring(said)
        does = {"ADMIT": self.admit, "CALC": self.calc, "SETTLE": self.settle, "CANCEL": self.cancel, "QUERY": self.query,
                "QUERYCANCEL": self.querycancel, "BOOK": self.daybook}.get(request.get("trans"))
        if does is None:
            return "900", [("Message", "没有这个交易")]
        with self.turn, self.db:
            code, members = does(request)
        # Whose answer it is: the serial it was asked with.
        return code, [("Serial", serial.text or "") for serial in request.findall("Serial")] + members


class Handler(BaseHTTPRequestHandler):
    protocol_version, timeout, disable_nagle_algorithm, wbufsize = "HTTP/1.1", 60, True, -1

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            code, members = self.server.insurer.asked(body)
        except (ET.ParseError, ValueError, ArithmeticError, TypeError):
            code, members = "900", [("Message", "报文无法读取")]
        is_list = {"Kinds", "Lines"}
        inside = "".join(f"<{name}>{said if name in is_list else escape(str(said))}</{name}>" for name, said in members)
        said = f'<?xml version="1.0" encoding="GB18030"?><Response code="{code}">{inside}</Response>'.encode("gb18030")
        self.send_response(200)
        self.send_header("Content-Type", "text/xml; charset=GBK")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    log_message = lambda *_: None  # what is asked is a person's


class Server(ThreadingHTTPServer):
    request_queue_size, daemon_threads = 128, True


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="An insurer's own XML interface, as an example.")
    for name in ("--listen", "--book"):
        options.add_argument(name, required=True)
    options = options.parse_args()
    host, port = options.listen.rsplit(":", 1)
    server = Server((host, int(port)), Handler)
    server.insurer = Insurer(options.book)
    server.serve_forever()
