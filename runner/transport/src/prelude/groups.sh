# Process groups that outlive a runner which was killed.
#
# GD the folder of the run in which they are noted, GN what the names begin with that this runner notes: others cannot
# list the folder, so nobody can forge one. A name is GN.PROCESS-START, START being when the leader was started: a number
# that another process got later is never taken for it. Nothing needs to be removed when a command has ended.

# began PROCESS: b is when it was started, unless it has ended.
began() {
  b=
  { read -r x < "/proc/$1/stat"; } 2>/dev/null || return 1
  x=${x##*) }
  set -- $x
  case $1 in
    [ZX]) return 1 ;;
  esac
  shift 19
  b=$1
}

# noted PROCESS: it leads a group that a later runner may have to end. It costs no process.
noted() {
  [ -n "$GD" ] && began "$1" || return 0
  set -C
  { printf "" > "$GD/$GN.$1-$b"; } 2>/dev/null
  set +C
}

# own: x is the process group of this shell.
own() {
  x=$$
  if [ -r "/proc/$$/stat" ]; then
    read -r x < "/proc/$$/stat"
    x=${x##*) }
    x=${x#* * }
    x=${x%% *}
  fi
}

# mark: notes the group of this shell.
mark() {
  own
  noted "$x"
}

# v_alive GROUP: something of it lives, whoever it belongs to and whether or not its leader does.
v_alive() {
  set +f
  for p in /proc/[0-9]*; do
    { read -r x < "$p/stat"; } 2>/dev/null || continue
    x=${x##*) }
    case $x in
      [ZX]" "*) continue ;;
    esac
    x=${x#* * }
    [ "${x%% *}" != "$1" ] || return 0
  done
  return 1
}

# v_left FOLDER PREFIX: groups that still live, with the id and the name of whoever noted them; not those of this PREFIX.
# Only a prefix that the login user has noted something under is believed.
v_left() {
  cd -P -- "$1" 2>/dev/null || return 0
  trust "$PWD" || return
  m=" "
  a=$2
  set +f
  set -- ./*
  set -f
  for p do
    c=${p#./}
    c=${c%%.*}
    [ "$c" = "$a" ] || [ ! -O "$p" ] || m="$m$c "
  done
  for p do
    c=${p#./}
    case $m in
      *" ${c%%.*} "*) ;;
      *) continue ;;
    esac
    c=${c#*.}
    case ${c%-*} in
      "" | *[!0-9]*) continue ;;
    esac
    began "${c%-*}" && [ "$b" = "${c#*-}" ] && stat -c "%u %U ${c%-*}" -- "$p"
  done
  return 0
}
