# Commands and services.

# group: the process group of this channel, for whoever must end it.
group() {
  x=$$
  if [ -r "/proc/$$/stat" ]; then
    read -r x < "/proc/$$/stat"
    x=${x##*) }
    x=${x#* * }
    x=${x%% *}
  fi
  printf "%s:group:%s\n" "$N" "$x"
  printf "%s:group:%s\n" "$N" "$x" >&2
}

# end SIGNAL GROUP: answers whether some of it is left.
end() {
  kill "-$1" "-$2" 2>/dev/null
  kill -0 "-$2" 2>/dev/null && printf left
  return 0
}

# v_run FOLDER BASE TEMPORARY ACCEPT DIRECTORY VARIABLES ARGV: what follows on stdin is for the command. With a
# TEMPORARY, stdout goes there, and gets its name when the command ends with a status in ACCEPT. VARIABLES is text to
# evaluate: it came by stdin, since an argument list can be seen by all.
v_run() {
  to=
  if [ -n "$3" ]; then
    at "$1" "$2" || return
    H=$V
    # The folder stays open: by its name it could be another by then.
    command exec 8< . || return 47
    to=/proc/self/fd/8/$3
  fi
  T=$2
  t=$3
  C=$4
  E=$6
  if [ -n "$5" ]; then
    second
    stand "$5" || return
  else
    cd || cd /
  fi
  shift 6
  has "$1" || {
    case $1 in
      */*) there "$1" && {
        no 51 "$1 may not be executed"
        return
      } ;;
    esac
    no 51 "no program $1 (PATH is $PATH)"
    return
  }
  y=$Y
  exec 3<&0
  if [ -n "$to" ]; then
    set -C
    command exec 4> "$to" || {
      no 47 "its output cannot be written to $H"
      return
    }
    set +C
  else
    exec 4>&1
  fi
  (
    exec 8<&- 9>&-
    unset LC_ALL OLDPWD SHLVL
    if [ -n "$y" ]; then
      set -- "$y" "$@"
    fi
    eval "$E"
    exec "$@"
  ) <&3 >&4 3<&- 4>&- &
  p=$!
  exec 3<&- 4>&- </dev/null
  [ -z "$y" ] || printf "%s:group:%s\n" "$N" "$p" >&2
  wait "$p"
  s=$?
  if [ -n "$to" ]; then
    case " $C " in
      *" $s "*)
        back "$H" >&2 && B=./$T && place "./$t" - - || printf "%s:placed:no\n" "$N" >&2 ;;
      *) rm -f -- "$to" ;;
    esac
  fi
  printf "%s:ended:%s\n" "$N" "$s" >&2
  return 0
}

# v_service up|down TRIES: act and state are functions that the request defines.
v_service() {
  act </dev/null 9>&-
  s=$?
  printf "%s:ended:%s\n" "$N" "$s" >&2
  [ "$s" -eq 0 ] || return 0
  k=0
  while k=$((k + 1)); do
    if state </dev/null >/dev/null 2>&1 9>&-; then
      x=up
    else
      x=down
    fi
    [ "$x" != "$1" ] || return 0
    [ "$k" -lt "$2" ] || return 42
    sleep 0.05 2>/dev/null || sleep 1
  done
}

# v_quiet ARGV: only how it ends.
v_quiet() {
  has "$1" || {
    no 51 "no program $1 (PATH is $PATH)"
    return
  }
  command "$@" </dev/null >/dev/null 2>&1 9>&- || return 1
}
