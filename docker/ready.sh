#!/bin/sh
# For Tilt, which shows a server in red only when its command has ended, not when its service is not ready.
#   ready.sh watch PROJECT SERVICE     waits until the container is ready, and ends when an edit is broken (the version
#                                      before it serves), or when the container stays away for six seconds
#   ready.sh revive PROJECT SERVICE... starts those again that have ended so, each when all is well with its container
action=$1 project=$2
shift 2
ended=.data/tilt # a file for each that has ended
mkdir -p "$ended"
# What the last health check said, if it succeeded, is behind the last "|": nothing, or what is wrong with an edit.
format='{{.State.Running}} {{.State.Health.Status}}{{range .State.Health.Log}}|{{if not .ExitCode}}{{.Output}}{{end}}{{end}}'

look() {
  state=$(docker inspect --format "$format" "$project-$1-1" 2>&1)
  case $state in 'true healthy'*) ready=yes ;; *) ready= ;; esac
  broken=${state##*|}
}

is_well() {
  look "$1"
  [ "$ready" ] && [ -z "$broken" ]
}

end() {
  echo "$1"
  touch "$ended/$name"
  exit 1
}

case $action in
watch)
  name=$1
  rm -f "$ended/$name"
  until is_well "$name"; do sleep 1; done
  echo "$name is ready"
  missed=0
  while sleep 2; do
    look "$name"
    if [ -z "$ready" ]; then missed=$((missed + 1)); else missed=0; fi
    [ "$ready" ] && [ "$broken" ] && end "a broken edit of $name: $broken; the version before it serves"
    [ "$missed" -lt 3 ] || end "$name is not ready any more"
  done
  ;;
revive)
  while sleep 2; do
    for name; do
      if [ -e "$ended/$name" ] && is_well "$name"; then
        rm "$ended/$name"
        tilt trigger "$name-ready"
      fi
    done
  done
  ;;
esac
