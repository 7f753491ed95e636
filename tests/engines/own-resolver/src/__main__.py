"""A small iterative resolver: it asks over TLS where port 853 answers, and over UDP elsewhere."""

import json
import socket
import socketserver
import ssl
import sys
import threading
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

PATIENCE_S = 2
MAX_REFERRALS = 20

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


def ask(address, query):
    """A server's response. Whoever it is that encrypts, no certificate is looked at."""
    try:
        return dns.query.tls(query, address, timeout=PATIENCE_S, ssl_context=CONTEXT)
    except OSError:
        return dns.query.udp(query, address, timeout=PATIENCE_S)


def resolve(name, rdtype, roots):
    """The response that answers a question, after as many referrals as it takes."""
    servers = roots
    for _ in range(MAX_REFERRALS):
        response = ask(servers[0], dns.message.make_query(name, rdtype, flags=0))
        names = [rdata.target for rdata in of_type(response.authority, dns.rdatatype.NS)]
        if response.answer or response.rcode() or not names:
            return response
        servers = glue(response, names) or addresses(resolve(names[0], dns.rdatatype.A, roots))
    raise OSError("too many referrals")


def glue(response, names):
    named = [rrset for rrset in response.additional if rrset.name in names]
    return [rdata.address for rdata in of_type(named, dns.rdatatype.A)]


def addresses(response):
    return [rdata.address for rdata in of_type(response.answer, dns.rdatatype.A)]


def of_type(rrsets, rdtype):
    return [rdata for rrset in rrsets if rrset.rdtype == rdtype for rdata in rrset]


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        try:
            found = resolve(question.name, question.rdtype, self.server.roots)
            answer.answer = found.answer
            answer.set_rcode(found.rcode())
        except (OSError, dns.exception.DNSException):
            answer.set_rcode(dns.rcode.SERVFAIL)
        sock.sendto(answer.to_wire(), self.client_address)


class Server(socketserver.ThreadingUDPServer):
    def __init__(self, address, roots):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.roots = roots
        super().__init__((address, 53), Handler)


def main():
    settings = json.loads(Path(sys.argv[1]).read_text())
    for address in settings["listen"]:
        threading.Thread(target=Server(address, settings["roots"]).serve_forever).start()


if __name__ == "__main__":
    main()
