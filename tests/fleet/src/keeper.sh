#!/bin/sh
# keeper.sh MODE FOLDER: outlives the fleet's owner by a moment and cleans up after it, also when the owner was killed.
#
# MODE `isolated`: hosts in namespaces end by themselves, and nothing is ever signalled here. The numbers in their pid
# files are of their own namespaces: out here they are other people's processes. MODE `plain`: their servers are ended,
# and only what says in its own command line that it serves this very folder.
set -eu
mode=$1 folder=$2

ours() { # PID
  case $1 in '' | *[!0-9]* | 0 | 1) return 1 ;; esac
  tr '\0' ' ' 2>/dev/null < "/proc/$1/cmdline" | grep -qF -- "$folder/host-"
}
# A process and all that it started, the youngest first. In a subshell each: `sh` has no local variables.
family() { # PID
  (
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
      family "$child"
    done
    echo "$1"
  )
}

cat > /dev/null
if [ "$mode" = plain ]; then
  for file in "$folder"/host-*/sshd.pid "$folder"/host-*/srv/run/nginx.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    ours "$pid" || continue
    for one in $(family "$pid"); do
      kill -KILL "$one" 2>/dev/null || true
    done
  done
fi
n=0
until rm -rf -- "$folder" 2>/dev/null || [ $n -ge 50 ]; do # a host may be writing its last
  n=$((n + 1))
  sleep 0.1
done
