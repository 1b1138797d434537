#!/bin/sh
# servicectl ACTION UNIT: what `systemctl` is on a machine with systemd, for the one unit of this host.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd -P)
pidfile=$here/run/nginx.pid
PATH=$PATH:/usr/sbin:/sbin

usage() {
  echo "usage: servicectl start|stop|restart|reload|reload-or-restart|status|is-active nginx" >&2
  exit 2
}
gone() { # not there, or dead and not reaped yet
  kill -0 "$1" 2>/dev/null || return 0
  grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}
running() { # and not a stranger who has its number by now
  pid=$(cat "$pidfile" 2>/dev/null) && [ -n "$pid" ] && ! gone "$pid" &&
    tr '\0' ' ' 2>/dev/null < "/proc/$pid/cmdline" | grep -qF -- "$here/"
}
nginx_() { nginx -e "$here/log/error.log" -c "$here/etc/nginx.conf" "$@"; }
start() {
  running && return 0
  if [ -f "$here/etc/python" ]; then # "ADDRESS PORT": a local target of a machine without nginx
    read -r address port < "$here/etc/python"
    setsid python3 -m http.server --bind "$address" --directory "$here/app/current" "$port" \
      < /dev/null > "$here/log/server.log" 2>&1 &
    echo $! > "$pidfile"
    return
  fi
  nginx_
}
stop() {
  running || return 0
  kill -TERM "$pid"
  n=0
  while ! gone "$pid"; do
    n=$((n + 1))
    [ $n -lt 500 ] || { echo "servicectl: nginx ($pid) does not end" >&2; exit 1; }
    sleep 0.01
  done
  rm -f "$pidfile"
}

slow() { # as the tests want it
  if [ -f "$here/etc/slow" ]; then sleep "$(cat "$here/etc/slow")"; fi
  while [ -f "$here/etc/held" ]; do sleep 0.05; done
}

[ $# = 2 ] || usage
[ "$2" = nginx ] || { echo "servicectl: unit $2 not found" >&2; exit 5; }
echo "$1" >> "$here/log/actions" # what the tests count
case $1 in
  start | stop | reload | reload-or-restart) slow ;;
esac
case $1 in
  start) start ;;
  stop) stop ;;
  restart) stop; slow; start ;;
  reload) running && nginx_ -s reload ;;
  reload-or-restart) if running; then nginx_ -s reload; else start; fi ;;
  status) if running; then echo "nginx is running ($pid)"; else echo "nginx is stopped"; exit 3; fi ;;
  is-active) if running; then echo active; else echo inactive; exit 3; fi ;;
  *) usage ;;
esac
