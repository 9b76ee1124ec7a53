#!/bin/sh
# For Tilt, which shows a server in red only when its command has ended, not when its service is not ready.
#   ready.sh watch PROJECT SERVICE     waits until the container is ready, and ends when it stays away for six seconds
#   ready.sh revive PROJECT SERVICE... starts those again that have ended so, each when its container is back
action=$1 project=$2
shift 2
ended=.data/tilt # a file for each that has ended
mkdir -p "$ended"

ready() {
  [ "$(docker inspect --format '{{.State.Running}} {{.State.Health.Status}}' "$project-$1-1" 2>&1)" = 'true healthy' ]
}

case $action in
watch)
  rm -f "$ended/$1"
  until ready "$1"; do sleep 1; done
  echo "$1 is ready"
  missed=0
  while [ "$missed" -lt 3 ]; do
    sleep 2
    if ready "$1"; then missed=0; else missed=$((missed + 1)); fi
  done
  echo "$1 is not ready any more"
  touch "$ended/$1"
  exit 1
  ;;
revive)
  while sleep 2; do
    for name; do
      if [ -e "$ended/$name" ] && ready "$name"; then
        rm "$ended/$name"
        tilt trigger "$name-ready"
      fi
    done
  done
  ;;
esac
