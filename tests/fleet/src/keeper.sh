#!/bin/sh
# keeper.sh FOLDER: outlives the fleet's owner by a moment and cleans up after it, also when the owner was killed.
# Hosts in namespaces have ended by themselves by then; those of a fleet without root are ended here.
set -eu
folder=$1
children() { # of a process, all generations, the youngest first
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
    children "$child"
    echo "$child"
  done
}
cat > /dev/null
for file in "$folder"/host-*/sshd.pid "$folder"/host-*/srv/run/nginx.pid; do
  [ -e "$file" ] && [ ! -e "${file%/host-*}/isolated" ] || continue
  pid=$(cat "$file")
  # shellcheck disable=SC2046
  kill -KILL $(children "$pid") "$pid" 2>/dev/null || true
done
n=0
until rm -rf -- "$folder" 2>/dev/null || [ $n -ge 50 ]; do # a host may be writing its last
  n=$((n + 1))
  sleep 0.1
done
