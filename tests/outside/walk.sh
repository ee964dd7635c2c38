#!/bin/sh
# Every endpoint of the API with nothing but curl: walk.sh RUN_DIR. One line each: socket, method, path, status.
# An answer that is not what a client of the API expects ends it with exit code 1.
set -eu

run_dir=$1
api=/api/control.routerd.net/v1alpha1
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# ask SOCKET METHOD PATH STATUS TEXT [BODY]: the status must be STATUS and the answer must have TEXT in it.
ask() {
    set -- "$1" "$2" "$3" "$4" "$5" "${6-}"
    status=$(curl --silent --show-error --max-time 30 --unix-socket "$run_dir/$1.sock" --request "$2" \
        ${6:+--header 'Content-Type: application/json' --data "$6"} \
        --output "$answer" --write-out '%{http_code}' "http://routerd$3")
    echo "$1 $2 $3 $status"
    if [ "$status" != "$4" ] || ! grep -q "$5" "$answer"; then
        echo "expected $4 and $5, but came:" >&2
        cat "$answer" >&2
        exit 1
    fi
}

yaml() { # a configuration as a JSON string
    printf '{"candidateYaml": "apiVersion: routerd.net/v1alpha1\\nkind: Router\\nmetadata: {name: lab}\\nspec:\\n  resources:\\n'
    printf '    - apiVersion: net.routerd.net/v1alpha1\\n      kind: IPv4Route\\n      metadata: {name: %s}\\n' "$1"
    printf '      spec: {destination: 198.51.100.0/24, type: blackhole}\\n"}'
}

kinds6='DHCPv6PrefixDelegation/wan-pd DHCPv6Address/wan-na DHCPv6Information/wan-info IPv6RAAddress/wan
    IPv6DelegatedAddress/lan IPv6RouterAdvertisement/lan IPv6StaticRoute/nowhere'

for socket in routerd routerd-status; do
    ask $socket GET $api/status 200 '"kind": "Status"'
    ask $socket GET $api/controllers 200 '"kind": "Controllers"'
    ask $socket GET $api/runtime 200 '"kind": "RuntimeStats"'
    ask $socket GET "$api/get?subject=resources" 200 '"kind": "GetResult"'
    ask $socket GET "$api/describe?target=DHCPv4Client/wan" 200 '"kind": "DescribeResult"'
    ask $socket GET "$api/get?subject=prefixes" 200 '"IPv6DelegatedAddress/guests"'
    for target in $kinds6; do
        ask $socket GET "$api/get?subject=$target" 200 '"observedGeneration"'
        ask $socket GET "$api/describe?target=$target" 200 '"phase"'
        ask $socket GET "$api/why?target=$target" 200 '"kind": "Why"'
        ask $socket GET "$api/events?since=0&limit=5&resource=$target" 200 "${target#*/}"
    done
    ask $socket GET "$api/events?since=0&limit=5" 200 '"cursor"'
    ask $socket GET "$api/why?target=DHCPv4Client/wan" 200 '"kind": "Why"'
    ask $socket GET $api/generations 200 '"kind": "Generations"'
    ask $socket GET $api/generations/1 200 '"kind": "Generation"'
    ask $socket GET /livez 200 '"ok"'
    ask $socket GET "/readyz?verbose" 200 '"ok"'
    ask $socket GET /metrics 200 routerd_
    ask $socket GET /openapi.json 200 '"openapi"'
    ask $socket GET /schema.json 200 '"$schema"'
done

# What takes more than to observe: by the main socket only.
ask routerd-status POST $api/plan 403 '"denied"' '{}'
ask routerd POST $api/validate 200 '"valid": true' '{}'
ask routerd POST $api/validate 200 '"valid": false' '{"candidateYaml": "kind: Rooter"}'
ask routerd POST $api/plan 200 '"kind": "PlanResult"' "$(yaml void)"
ask routerd POST $api/apply 400 'bad request: ' '{"candidateYaml": "kind: Rooter"}'
ask routerd POST $api/apply 200 '"outcome": "changed"' "$(yaml void)"
ask routerd GET "$api/describe?target=IPv4Route/void" 200 '"Installed"'
ask routerd POST $api/delete 200 'IPv4Route/void' '{"target": "IPv4Route/void"}'
ask routerd POST $api/rollback 200 '"kind": "RollbackResult"' '{"to": 1}'
ask routerd POST $api/confirm 409 '"Error"' '{"token": "none"}'
ask routerd POST $api/log-level 200 '"debug"' '{"level": "debug", "for": "1m"}'
ask routerd POST $api/log-level 200 '"default"' '{"level": ""}'
ask routerd GET "$api/probe?subject=egress" 200 '"kind": "ProbeResult"'
ask routerd POST $api/dhcp-lease-event 200 '"accepted": true' '{"action": "added", "ip": "192.168.1.20"}'
ask routerd POST $api/events/ack 200 '"consumer"' '{"consumer": "walk", "cursor": "0"}'
ask routerd GET $api/consumers 200 '"walk"'
ask routerd POST $api/consumers/delete 200 '"walk"' '{"name": "walk"}'
ask routerd POST $api/rules/test 200 '"kind": "RuleTest"' '{"ruleYaml": "apiVersion: net.routerd.net/v1alpha1\nkind: EventRule\nmetadata: {name: bound}\nspec: {pattern: {operator: any_of, topics: [routerd.dhcpv4.client.lease.bound]}, emit: {topic: my.bound}}\n"}'

# What this version does not have says so.
for path in connections dns-queries dns-queries/aggregate traffic-flows traffic-flows/aggregate firewall-logs; do
    ask routerd GET $api/$path 501 'does not have'
done
ask routerd POST $api/dhcpv6-event 501 'does not have' '{}'

# The daemon of the WAN.
ask dhcpv4-client/wan GET /v1/healthz 200 '"ok"'
ask dhcpv4-client/wan GET /v1/status 200 '"DaemonStatus"'
ask dhcpv4-client/wan GET "/v1/events?since=0" 200 '"DaemonEvent"'
ask dhcpv4-client/wan GET /openapi.json 200 '"openapi"'
ask dhcpv4-client/wan POST /v1/commands/renew 200 '"accepted":true'
ask dhcpv4-client/wan POST /v1/commands/info-request 501 'info-request'

# The daemons of IPv6: one DHCPv6 client with a socket for each of its resources; who listens for routers; who is one.
for daemon in dhcpv6-client/wan-pd dhcpv6-client/wan-na dhcpv6-client/wan-info ra-client/wan ra-server/lan ra-server/guests; do
    ask $daemon GET /v1/healthz 200 '"ok"'
    ask $daemon GET /v1/status 200 "\"instance\":\"${daemon#*/}\""
    ask $daemon GET "/v1/events?since=0&topic=routerd.**" 200 '"cursor"'
    ask $daemon GET "/v1/events?tail=true" 200 '"newest"'
    ask $daemon GET /openapi.json 200 '"openapi"'
    ask $daemon POST /v1/commands/reload 200 '"accepted":true'
    ask $daemon POST /v1/commands/dance 501 dance
    ask $daemon GET /v1/commands/reload 405 '"Error"'
done
for command in renew rebind info-request; do
    ask dhcpv6-client/wan-pd POST /v1/commands/$command 200 '"succeeded":"true"'
done
ask dhcpv6-client/wan-na POST /v1/commands/renew 200 '"succeeded":"true"' '{"command": "renew"}'
ask dhcpv6-client/wan-na POST /v1/commands/renew 400 wan-na '{"resource": {"kind": "DHCPv6PrefixDelegation", "name": "wan-pd"}}'
ask dhcpv6-client/wan-pd POST /v1/commands/stop 200 '"succeeded":"true"'
ask dhcpv6-client/wan-pd POST /v1/commands/renew 409 'routerctl start'
ask dhcpv6-client/wan-pd POST /v1/commands/start 200 '"succeeded":"true"'
ask dhcpv6-client/wan-pd POST /v1/commands/flush 200 '"succeeded":"true"'
ask dhcpv6-client/wan-pd POST /v1/config/update 501 'does not have' '{}'
ask ra-client/wan POST /v1/commands/renew 501 renew

# And what a client may do wrong.
ask routerd GET $api/nothing 404 '"Error"'
ask routerd DELETE $api/status 405 '"Error"'
ask routerd GET "$api/get?limit=x" 400 'non-negative integer'
ask routerd POST $api/apply 400 '"Error"' '{'
