#!/bin/sh
# Replaces every container of vote, result or worker by a new one, from the image as it is now, and loses no request:
#   make rolling-restart PART=vote    the system as it is run for others, behind the proxy (docker compose --profile proxy)
# The new ones start beside the old ones. When all of them are ready, the proxy sends nothing more to an old one, and it is
# stopped; then comes the next. Published ports must have room for the new ones: VOTE_PORTS=0 RESULT_PORTS=0.
set -eu
service=${1:?name a service: make rolling-restart PART=vote}
export COMPOSE_FILE="${COMPOSE_FILE:-docker-compose.yml}" COMPOSE_PROFILES=proxy

# What the proxy answers to a command; nothing, if there is none.
proxy() {
  [ -z "$(docker compose ps --quiet proxy)" ] ||
    docker compose exec -T proxy bash -c 'exec 3<>/dev/tcp/127.0.0.1/9999; echo "$0" >&3; cat <&3' "$1"
}

# What the proxy calls a container, and whether it sends people there (2), by the container's address.
place() {
  address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$1")
  proxy 'show servers state' | awk -v addresses=" $address" 'index(addresses, " " $5 " ") { print $2 "/" $4, $6 }'
}

old=$(docker compose ps --quiet "$service")
[ "$old" ] || { echo "no $service runs: docker compose --profile proxy up" >&2; exit 1; }
count=$(echo "$old" | wc -l)
docker compose up --detach --wait --no-deps --no-recreate --scale "$service=$((count * 2))" "$service"
if [ "$service" != worker ] && [ "$(proxy 'show info')" ]; then
  for container in $(docker compose ps --quiet "$service"); do
    until place "$container" | grep -q ' 2$'; do sleep 0.5; done
  done
fi
for container in $old; do
  server=$(place "$container" | cut -d ' ' -f 1)
  [ -z "$server" ] || proxy "set server $server state drain"
  docker stop "$container"
  docker rm "$container" >/dev/null
  [ -z "$server" ] || proxy "set server $server state ready" # for the next container that is found there
done
