# Commands and services.

# group: the process group of this channel, for whoever must end it.
group() {
  own
  p=$x
  noted "$p"
  x=$p
  printf "%s:group:%s\n" "$N" "$x"
  printf "%s:group:%s\n" "$N" "$x" >&2
}

# end SIGNAL GROUP: answers whether some of it is left.
end() {
  kill "-$1" "-$2" 2>/dev/null
  kill -0 "-$2" 2>/dev/null && printf left
  return 0
}

# v_run FOLDER BASE TEMPORARY ACCEPT DIRECTORY VARIABLES ARGV: what follows on stdin is for the command, unless it reads
# a file. With a TEMPORARY, stdout goes there, and gets its name when the command ends with a status in ACCEPT. VARIABLES
# is text to evaluate: it came by stdin, since an argument list can be seen by all.
v_run() {
  [ -z "$IB" ] || taken "$IF" "$IB" || return
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
  if [ -n "$IB" ]; then
    exec 3<&5 5<&-
  else
    exec 3<&0
  fi
  if [ -n "$to" ]; then
    set -C
    umask 077
    command exec 4> "$to" || {
      no 47 "its output cannot be written to $H"
      return
    }
    umask 022
    set +C
  else
    exec 4>&1
  fi
  if [ -n "$PK$UZ" ]; then
    piped "$@"
    s=$?
  else
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
    [ -z "$y" ] || {
      noted "$p"
      printf "%s:group:%s\n" "$N" "$p" >&2
    }
    wait "$p"
    s=$?
  fi
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

# piped ARGV: the command between what unpacks its input, 3, and what packs its output, 4. What goes wrong in these is
# told beside; then the output gets no name. Answers the status of the command.
piped() {
  x=$(chained "$@")
  exec 3<&- 4>&- </dev/null
  s=${x#*status=}
  s=${s%%:*}
  case $x in
    *unpack*)
      printf "%s:fed:no\n" "$N" >&2
      C= ;;
  esac
  case $x in
    *repack*)
      printf "%s:placed:no\n" "$N" >&2
      C= ;;
    *)
      [ -z "$PK" ] || [ -z "$C" ] || unpack "$PK" < "$to" >/dev/null || {
        printf "%s:placed:no\n" "$N" >&2
        C=
      } ;;
  esac
  return "${s:-255}"
}

# chained ARGV: answers how all three ended.
chained() {
  { fed | told "$@" | kept; } 6>&1
}

told() {
  launched "$@"
  printf "status=%s:" "$?" >&6
}

# fed: whoever reads no further is not at fault.
fed() {
  exec 4>&-
  if [ -n "$UZ" ]; then
    unpack "$UZ" <&3 || [ $? -eq 141 ] || printf "unpack:" >&6
  else
    cat <&3
  fi
}

kept() {
  exec 3<&-
  if [ -n "$PK" ]; then
    pack "$PK" >&4 || printf "repack:" >&6
  else
    cat >&4
  fi
}

# launched ARGV: nothing that outlives the command may hold what is waited for.
launched() {
  (
    exec 3<&- 4>&- 6>&- 8<&- 9>&-
    unset LC_ALL OLDPWD SHLVL
    if [ -n "$y" ]; then
      read -r p x < /proc/self/stat && noted "$p" && printf "%s:group:%s\n" "$N" "$p" >&2
      set -- "$y" "$@"
    fi
    eval "$E"
    exec "$@"
  )
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
