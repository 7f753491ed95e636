"""Run in a sandbox, by test_interop_transports.py: ``transport_cases.py CASE``.

The servers are ours with clients that are not, or real servers with clients of ours.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdatatype
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from testbed.core import pki
from testbed.core.authoritative import Authoritative
from testbed.core.signer import KeySet, sign_zone
from testbed.core.transport import Transport
from testbed.core.zone import Zone
from testbed.transports import doh, doh3, doq, dot, tcp, udp

ADDRESS = "127.0.0.1"
NAME = "ns1.dnshost.net"
PATIENCE = 10
NOW = time.time()
VALID = {"not_before": NOW - 86400, "not_after": NOW + 86400}
AUTHORITY = pki.Authority(1, **VALID)
CREDENTIAL = AUTHORITY.issue([NAME], [ADDRESS], **VALID)
ORIGIN = dns.name.from_text("example.org.")
CONTENT = f"""
@ 3600 SOA ns1 hostmaster 1 1800 900 604800 300
@ NS ns1
ns1 A {ADDRESS}
secret A 192.0.2.80
*.wild TXT "w"
alias CNAME secret
large TXT {" ".join('"' + str(n) * 100 + '"' for n in range(10, 60))}
_dns.ns1 SVCB 1 ns1 alpn=dot,doq port=8853 ipv4hint=192.0.2.1
_853._tcp.ns1 TLSA 3 1 1 {"ab" * 32}
insecure NS ns.elsewhere.test.
"""
QUESTIONS = (
    ("secret", "A"),
    ("alias", "A"),
    ("x.wild", "TXT"),
    ("large", "TXT"),
    ("nothing", "A"),
    ("secret", "MX"),
    ("_dns.ns1", "SVCB"),
    ("_853._tcp.ns1", "TLSA"),
    ("www.insecure", "A"),
    ("@", "DNSKEY"),
)


def the_zone():
    return sign_zone(
        Zone.from_text(ORIGIN, CONTENT),
        KeySet.derive(b"interop", ORIGIN),
        inception=int(NOW) - 3600,
        expiration=int(NOW) + 86400,
        denial="nsec3",
    )


ZONE = the_zone()
SERVER = Authoritative([ZONE])


class Host:
    """Opens sockets in the sandbox."""

    def socket(self, family, kind, proto=0):
        opened = socket.socket(family, kind, proto)
        opened.setblocking(False)
        return opened


HOST = Host()
FOLDER = Path(tempfile.mkdtemp())


def queries():
    for relative, rdtype in QUESTIONS:
        owner = dns.name.from_text(relative, ORIGIN) if relative != "@" else ORIGIN
        yield dns.message.make_query(owner, rdtype, want_dnssec=True, payload=1232)


def pem():
    """The files of the CA, the server's certificates and its key."""
    authority, chain, key = FOLDER / "ca.pem", FOLDER / "chain.pem", FOLDER / "key.pem"
    authority.write_bytes(AUTHORITY.certificate.public_bytes(Encoding.PEM))
    chain.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in CREDENTIAL.chain))
    key.write_bytes(CREDENTIAL.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return authority, chain, key


def sections(message):
    """What a message says, whatever the order."""
    parts = (message.answer, message.authority)
    return message.rcode(), *(
        frozenset((rrset.name, rrset.rdtype, rrset.covers, frozenset(rrset)) for rrset in part)
        for part in parts
    )


def truth(query, transport):
    (response,) = SERVER.respond(query, transport)
    return sections(response)


def handler(wire, transport, peer):
    return SERVER.respond_wire(wire, transport)


@contextlib.contextmanager
def our_servers():
    """Ours on the usual ports; HTTP/3 on the port of HTTP/2."""
    secured = {"credential": CREDENTIAL}
    listeners = [
        udp.serve(HOST, ADDRESS, 53, handler),
        tcp.serve(HOST, ADDRESS, 53, handler),
        dot.serve(HOST, ADDRESS, 853, handler, **secured),
        doq.serve(HOST, ADDRESS, 853, handler, **secured),
        doh.serve(HOST, ADDRESS, 443, handler, **secured),
        doh3.serve(HOST, ADDRESS, 443, handler, **secured),
    ]
    try:
        yield
    finally:
        for listener in listeners:
            listener.close()


# -- our servers, other clients --------------------------------------------------------------------


async def kdig():
    """Knot's kdig, which checks our certificate, over each transport."""
    authority, _, _ = pem()
    secured = [f"+tls-ca={authority}", f"+tls-hostname={NAME}"]
    ways = {
        Transport.UDP: [],
        Transport.TCP: ["+tcp"],
        Transport.DOT: ["+tls", *secured],
        Transport.DOH: ["+https", *secured],
        Transport.DOQ: ["+quic"],  # kdig 3.2 crashes when it is to check a certificate there
    }
    sessions = {
        Transport.DOT: "TLS session (TLS1.3)",
        Transport.DOH: "HTTP session (HTTP/2-POST)",
        Transport.DOQ: "QUIC session (QUICv1)",
    }
    with our_servers():
        for transport, options in ways.items():
            for query in queries():
                question = query.question[0]
                asked = [f"@{ADDRESS}", *options, "+dnssec", "+noidn", question.name.to_text()]
                output = await program("kdig", *asked, question.rdtype.name)
                assert sessions.get(transport, "") in output
                assert kdig_sections(output) == truth(query, transport), (transport, output)
        mismatch = ["+tls", secured[0], "+tls-hostname=other.example", "secret.example.org", "A"]
        assert "192.0.2.80" not in await program("kdig", f"@{ADDRESS}", *mismatch, fails=True)


def kdig_sections(output):
    """A response in kdig's presentation."""
    status = output.split("QUERY; status: ")[1].split(";")[0]
    found = []
    for title in ("ANSWER", "AUTHORITY"):
        text = output.partition(f";; {title} SECTION:\n")[2].partition("\n\n")[0]
        rrsets = {}
        for line in text.splitlines():
            owner, ttl, rdclass, rdtype, rdata = line.split(None, 4)
            one = dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata)
            rrsets.setdefault((one.name, one.rdtype, one.covers), set()).update(one)
        found.append(frozenset((*key, frozenset(value)) for key, value in rrsets.items()))
    return dns.rcode.from_text(status), *found


async def dnspython():
    """dnspython's own clients: ssl of the standard library, and aioquic."""
    authority, _, _ = pem()
    where = {"verify": str(authority), "timeout": PATIENCE}
    https = {**where, "http_version": dns.query.HTTPVersion.HTTP_3}
    url = f"https://{ADDRESS}/dns-query"
    with our_servers():
        for query in queries():
            over_tls = await asyncio.to_thread(dns.query.tls, query, ADDRESS, server_hostname=NAME, **where)
            assert sections(over_tls) == truth(query, Transport.DOT)
            query.id = 0
            over_quic = await asyncio.to_thread(dns.query.quic, query, ADDRESS, server_hostname=NAME, **where)
            assert sections(over_quic) == truth(query, Transport.DOQ)
            over_https = await asyncio.to_thread(dns.query.https, query, url, **https)
            assert sections(over_https) == truth(query, Transport.DOH)


# -- our clients, other servers --------------------------------------------------------------------

NAMED = """
options {{
    directory "{folder}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{folder}";
    listen-on-v6 {{ none; }};
    listen-on port 53 {{ {address}; }};
    listen-on port 853 tls ours {{ {address}; }};
    listen-on port 443 tls ours http local {{ {address}; }};
    recursion no;
    minimal-responses no;
    dnssec-validation no;
}};
tls ours {{ cert-file "{chain}"; key-file "{key}"; }};
http local {{ endpoints {{ "/dns-query"; }}; }};
controls {{ }};
zone "{origin}" {{ type primary; file "{zone}"; }};
"""
UNBOUND = """
server:
    interface: {address}@53
    interface: {address}@853
    interface: {address}@443
    tls-port: 853
    https-port: 443
    tls-service-pem: "{chain}"
    tls-service-key: "{key}"
    directory: "{folder}"
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    logfile: "{folder}/log"
    do-ip6: no
    access-control: 127.0.0.0/8 allow
    module-config: "iterator"
auth-zone:
    name: "{origin}"
    zonefile: "{zone}"
    for-upstream: no
    for-downstream: yes
remote-control:
    control-enable: no
"""
KNOTD = """
server:
    rundir: "{folder}"
    listen: {address}@53
    listen-tls: {address}@853
    listen-quic: {address}@853
    cert-file: "{chain}"
    key-file: "{key}"
    user: root
log:
  - target: stderr
    any: info
database:
    storage: "{folder}"
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: {origin}
    file: "{zone}"
"""
CLIENTS = {
    Transport.DOT: (dot.connect, 853),
    Transport.DOH: (doh.connect, 443),
    Transport.DOQ: (doq.connect, 853),
}


async def named():
    """BIND, over DoT and DoH."""
    await real("named", NAMED, ["-g", "-c"], Transport.DOT, Transport.DOH)


async def unbound():
    """Unbound, over DoT and DoH."""
    await real("unbound", UNBOUND, ["-d", "-c"], Transport.DOT, Transport.DOH)


async def knotd(command):
    """Knot DNS from 3.4 on, over DoT and DoQ."""
    await real(command, KNOTD, ["-c"], Transport.DOT, Transport.DOQ)


async def real(command, template, options, *transports):
    async with server(command, template, options):
        for transport in transports:
            connect, port = CLIENTS[transport]
            session = await connect(HOST, ADDRESS, (ADDRESS, port), sni=NAME, timeout=PATIENCE)
            assert session.chain == CREDENTIAL.chain
            asked = list(queries())
            if transport is Transport.DOQ:
                for query in asked:
                    query.id = 0  # RFC 9250 section 4.2.1
            answers = await asyncio.gather(*(session.exchange(each.to_wire(), PATIENCE) for each in asked))
            for query, wire in zip(asked, answers, strict=True):
                response = dns.message.from_wire(wire)
                assert response.id == query.id
                assert sections(response)[:2] == truth(query, transport)[:2], response
            session.close()


@contextlib.asynccontextmanager
async def server(command, template, options, zone=ZONE):
    """A real server, by its name or path, that has a zone of ours, until the block is left."""
    _, chain, key = pem()
    file = FOLDER / "zone"
    file.write_text("".join(f"{rrset.to_text()}\n" for rrset in zone))
    configuration = FOLDER / "conf"
    names = {"folder": FOLDER, "address": ADDRESS, "chain": chain, "key": key, "zone": file}
    configuration.write_text(template.format(origin=zone.origin, **names))
    # A copy, since AppArmor's profile for the installed one lets it read nothing here.
    path = command if "/" in command else shutil.copy(shutil.which(command), FOLDER)
    with (FOLDER / "output").open("w") as output:
        process = subprocess.Popen([path, *options, configuration], stdout=output, stderr=output)
    try:
        await ready(process, zone)
        yield
    finally:
        process.kill()
        process.wait()


async def ready(process, zone):
    """Wait until it answers from the zone."""
    query = dns.message.make_query(zone.origin, "SOA")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while process.poll() is None:
                with contextlib.suppress(dns.exception.Timeout):
                    if (await dns.asyncquery.udp(query, ADDRESS, timeout=0.1)).answer:
                        return
    raise AssertionError(f"no answer about {zone.origin}: {(FOLDER / 'output').read_text()}")


# -- validation ------------------------------------------------------------------------------------


async def delv():
    """BIND's delv validates what our server says, from our trust anchor down."""
    key = KeySet.derive(b"interop", ORIGIN).ksk
    ds = dns.rrset.from_rdata(ORIGIN, 3600, key.dnskey)[0]
    text = f'trust-anchors {{ "{ORIGIN}" static-key {int(ds.flags)} 3 {int(ds.algorithm)} "{b64(ds)}"; }};'
    (FOLDER / "anchor").write_text(text)
    options = [f"@{ADDRESS}", "-a", str(FOLDER / "anchor"), f"+root={ORIGIN}", "+vtrace"]
    with our_servers():
        for relative, rdtype in QUESTIONS:
            if relative == "www.insecure":
                continue  # nobody serves it
            owner = f"{relative}.{ORIGIN}" if relative != "@" else str(ORIGIN)
            output = await program("delv", *options, owner, rdtype)
            assert "fully validated" in output, output


def b64(key):
    return "".join(key.to_text().split()[3:])


async def program(*command, fails=False):
    """The output of a program that asks our servers meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert fails or process.returncode == 0, output.decode()
    return output.decode()


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
