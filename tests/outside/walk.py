"""A client of the API with nothing but Python's standard library, as somebody's cron job would have it: it follows the
events while it changes the configuration, and keeps its place. `python walk.py RUN_DIR`."""

import http.client
import json
import socket
import sys

API = "/api/control.routerd.net/v1alpha1"
ROUTE = """\
apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: lab}
spec:
  resources:
    - apiVersion: net.routerd.net/v1alpha1
      kind: IPv4Route
      metadata: {name: void}
      spec: {destination: 198.51.100.0/24, type: blackhole}
"""


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("routerd", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, method, target, body=None, **headers):
    connection = Connection(path)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, API + target, text, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def main(run_dir):
    main_socket, status_socket = f"{run_dir}/routerd.sock", f"{run_dir}/routerd-status.sock"
    _, page = ask(status_socket, "GET", "/events?tail=1")
    cursor, seen = page["cursor"], []

    code, planned = ask(main_socket, "POST", "/plan", {"candidateYaml": ROUTE})
    assert code == 200 and planned["result"]["changed"], planned
    generation = planned["result"]["generation"]

    code, stale = ask(main_socket, "POST", "/apply", {"candidateYaml": ROUTE}, **{"If-Match": '"999"'})
    assert code == 412, stale
    code, applied = ask(main_socket, "POST", "/apply", {"candidateYaml": ROUTE, "confirmWithin": "5m"})
    assert code == 200, applied
    token = applied["result"]["pending"]["token"]
    code, status = ask(status_socket, "GET", "/status")
    assert "token" not in status["status"]["pendingCommit"], "the token is nobody else's business"
    code, confirmed = ask(main_socket, "POST", "/confirm", {"token": token})
    assert code == 200 and confirmed["confirmed"], confirmed
    code, back = ask(main_socket, "POST", "/rollback", {})
    assert code == 200 and back["result"]["changed"], back
    print(f"generation {generation} -> {applied['result']['generation']} -> {back['result']['generation']}")

    while "routerd.ipv4.route.removed" not in seen:
        _, page = ask(status_socket, "GET", f"/events?since={cursor}&wait=10s&topic=routerd.**")
        assert page["lost"] == 0 and page["events"], f"nothing came after {seen}"
        cursor = page["cursor"]
        seen += [event["topic"] for event in page["events"]]
    assert "routerd.ipv4.route.installed" in seen and "routerd.configuration.applied" in seen, seen
    print(f"{len(seen)} events followed")


if __name__ == "__main__":
    main(sys.argv[1])
