"""What Apple would hand out, made with the openssl command and kept in the state directory: a CA, the server's
certificate, and the provider's ES256 key (a .p8, as the developer portal names it)."""

import os
import subprocess

CA_FILE, CA_KEY = "ca.pem", "ca.key"
SERVER_FILE, SERVER_KEY = "server.pem", "server.key"
KEY_FILE, PUBLIC_KEY_FILE = "AuthKey.p8", "AuthKey.pub.pem"


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def make(state, hosts):
    """Makes what is missing. The CA and the key outlive a restart, so nobody has to be told of them twice; the server's
    certificate is made again, because the hosts may have changed."""
    os.makedirs(state, mode=0o700, exist_ok=True)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    if not os.path.exists(os.path.join(state, CA_FILE)):
        openssl("req", "-x509", *curve, "-keyout", CA_KEY, "-out", CA_FILE, "-days", "3650",
                "-subj", "/CN=Carillon APNs stand-in CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=state)
    if not os.path.exists(os.path.join(state, KEY_FILE)):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", KEY_FILE, cwd=state)
        openssl("pkey", "-in", KEY_FILE, "-pubout", "-out", PUBLIC_KEY_FILE, cwd=state)
    names = ",".join(("IP:" if host.replace(".", "").isdigit() or ":" in host else "DNS:") + host for host in hosts)
    with open(os.path.join(state, "server.ext"), "w") as extensions:
        extensions.write(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
    openssl("req", "-new", *curve, "-keyout", SERVER_KEY, "-out", "server.csr", "-subj", "/CN=" + hosts[0][:64], cwd=state)
    openssl("x509", "-req", "-in", "server.csr", "-CA", CA_FILE, "-CAkey", CA_KEY, "-CAcreateserial", "-days", "825",
            "-extfile", "server.ext", "-out", SERVER_FILE, cwd=state)
