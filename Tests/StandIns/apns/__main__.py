#!/usr/bin/python3
"""A stand-in for Apple's push service: python3 Tests/StandIns/apns --state DIRECTORY

Prints the lines that the push-service's environment needs (APNS_URL, APNS_CA_FILE, …) once it answers, and writes them
to DIRECTORY/apns.env. Stops on SIGTERM. Needs Debian's python3-h2 and the openssl command."""

import argparse
import asyncio
import functools
import os
import shlex
import signal
import ssl
import sys

import credentials
import faults
import http1
import http2
import provider_token
import received
import service


def arguments():
    environment = os.environ.get
    parser = argparse.ArgumentParser(prog="apns", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", default=environment("APNS_STATE", ".local/apns"), help="directory of CA, key and certificate")
    parser.add_argument("--address", default=environment("LISTEN_ADDRESS", "127.0.0.1"), help="address to listen on")
    parser.add_argument("--port", type=int, default=int(environment("APNS_PORT", "0")), help="HTTP/2 over TLS; 0: a free one")
    parser.add_argument("--http-port", type=int, default=int(environment("APNS_HTTP_PORT", "0")), help="plain HTTP; 0: a free one")
    parser.add_argument("--host", default=environment("APNS_HOST", "127.0.0.1"), help="name that clients use")
    parser.add_argument("--topic", default=environment("APNS_TOPIC", "app.carillon.demo"), help="topics allowed, by comma")
    parser.add_argument("--key-id", default=environment("APNS_KEY_ID", "CARILLON01"))
    parser.add_argument("--team-id", default=environment("APNS_TEAM_ID", "CARILLONTM"))
    parser.add_argument("--streams", type=int, default=1000, help="MAX_CONCURRENT_STREAMS")
    return parser.parse_args()


async def serve(options):
    state = os.path.abspath(options.state)
    credentials.make(state, list(dict.fromkeys([options.host, "127.0.0.1", "localhost", "::1"])))
    verifier = provider_token.Verifier(os.path.join(state, credentials.PUBLIC_KEY_FILE), options.key_id, options.team_id)
    topics = set(options.topic.split(","))
    standing = service.Service(verifier, topics, received.Received(), faults.Faults())
    http2_connection = functools.partial(http2.Connection, standing, options.streams)
    http1_connection = functools.partial(http1.Connection, standing)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(os.path.join(state, credentials.SERVER_FILE), os.path.join(state, credentials.SERVER_KEY))
    tls.set_alpn_protocols(["h2", "http/1.1"])
    loop = asyncio.get_running_loop()
    secure = await loop.create_server(lambda: http1.Chosen(http2_connection, http1_connection), options.address, options.port, ssl=tls)
    plain = await loop.create_server(http1_connection, options.address, options.http_port)
    announce(state, options, secure.sockets[0].getsockname()[1], plain.sockets[0].getsockname()[1])
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()


def announce(state, options, port, http_port):
    lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in (
        ("APNS_URL", f"https://{options.host}:{port}"),
        ("APNS_CA_FILE", os.path.join(state, credentials.CA_FILE)),
        ("APNS_KEY_FILE", os.path.join(state, credentials.KEY_FILE)),
        ("APNS_KEY_ID", options.key_id),
        ("APNS_TEAM_ID", options.team_id),
        ("APNS_TOPIC", options.topic.split(",")[0]),
        ("APNS_RECEIVED_URL", f"http://{options.host}:{http_port}/received"),
    ))
    file = os.path.join(state, "apns.env")
    with open(file + ".new", "w") as out:
        out.write(lines)
    os.replace(file + ".new", file)
    sys.stdout.write(lines)
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
