# Watchdogs: what puts a link back on its own when nobody confirms in time.
#
# Each that is armed has a folder of its own, `watchdog/1`, `watchdog/2` and so on in that of the run; the last one counts.
# In it is a file whose name says what became of it: armed, fired or disarmed. One rename decides, so that of two that
# want it one loses. Only the login user may write there.

# v_stead FOLDER BASE: where the folder really is, if what is in it can be replaced.
v_stead() {
  at "$1" "$2" || return
  [ -w . ] || {
    no 47 "no permission to write to $V"
    return
  }
  printf "%s\n" "$V"
}

# watched: k is the number of the last watchdog, 0 where there is none, and w what became of it.
watched() {
  k=0
  while there "./$((k + 1))"; do
    k=$((k + 1))
  done
  for w in armed fired disarmed; do
    [ ! -f "./$k/$w" ] || return 0
  done
  w=
}

# disarmed: nothing is armed any more, unless it fires first, which w then says.
disarmed() {
  watched
  [ "$w" = armed ] || return 0
  mv -T -- "./$k/armed" "./$k/disarmed" 2>/dev/null
  watched
  [ "$w" != armed ] || no 47 "the watchdog cannot be disarmed: its file cannot be renamed"
}

# v_arm FOLDER KNOWN BOUND SCRIPT: FOLDER is that of the run, KNOWN the number of the watchdog that is known to have
# fired, BOUND how long the firing takes at most, in seconds.
v_arm() {
  at "$1" watchdog || return
  there "$B" || mkdir -m 700 -- "$B" || return 47
  into "$1" watchdog && trust "$V" && disarmed || return
  [ "$w" != fired ] || [ "$k" -le "$2" ] || {
    no 42 "the watchdog that this run had armed before has fired"
    return
  }
  rm -rf -- ./new
  umask 077
  mkdir -- ./new || return 47
  printf "%s" "$4" > ./new/watch && printf "%s\n" "$3" > ./new/armed || {
    no 45 "its script cannot be written: the disk is full, or the folder is read-only"
    return
  }
  k=$((k + 1))
  mv -T -- ./new "./$k" || return 47
  launched_apart && return
  s=$?
  # Nothing may be armed that nobody was told of.
  disarmed >/dev/null
  return "$s"
}

# launched_apart: starts the script where the end of this session does not reach it.
launched_apart() {
  has env && e=$f/env && has sh || {
    no 51 "env or sh is missing on the target"
    return
  }
  set -- "$e" -i "PATH=$PATH" "HOME=$HOME" "USER=$USER" LANG=C.UTF-8 "$f/sh" "$V/$k/watch"
  if [ -d /run/systemd/system ]; then
    unit "$@" && begun 100 && return
    ! ends || {
      no 42 "systemd ends all that a user runs when the last session ends (KillUserProcesses=yes in logind.conf): allow it with loginctl enable-linger, as root"
      return
    }
  fi
  has setsid || {
    no 51 "setsid is missing on the target"
    return
  }
  "$f/setsid" "$@" </dev/null >/dev/null 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  begun 200 || no 44 "its script does not begin to run"
}

# unit ARGV: as a unit of systemd. A manager of a user who does not linger ends with the last session, and all its units
# with it. What the script starts outlives it.
unit() {
  has systemd-run || return
  y=$f/systemd-run
  x=$(id -u)
  if [ "$x" = 0 ]; then
    set -- "$y" --quiet --collect --no-ask-password -p KillMode=process -- "$@"
  else
    [ -e "/var/lib/systemd/linger/$(id -un)" ] || return
    set -- "$e" "XDG_RUNTIME_DIR=/run/user/$x" "$y" --user --quiet --collect --no-ask-password -p KillMode=process -- "$@"
  fi
  ! has timeout || set -- "$f/timeout" 10 "$@"
  "$@" </dev/null >/dev/null 2>&1 9>&-
}

# ends: systemd ends what the login user leaves behind.
ends() {
  has loginctl || return
  x=$(id -u)
  [ "$x" != 0 ] && [ "$(loginctl show-session -p KillUserProcesses 2>/dev/null </dev/null 9>&-)" = KillUserProcesses=yes ]
}

# begun TRIES: waits until the script says that it runs.
begun() {
  x=0
  until [ -s "./$k/started" ]; do
    x=$((x + 1))
    [ "$x" -le "$1" ] || return 1
    sleep 0.05 2>/dev/null || sleep 1
  done
}

# v_watchdog FOLDER [disarm]: what became of the last one, in a word; then of one that is firing the seconds that this may
# take, of one that was cut off while it fired when that was, and of one that has fired its record.
v_watchdog() {
  into "$1" watchdog && trust "$V" || return
  if [ -n "$2" ]; then
    disarmed || return
  else
    watched
  fi
  printf "%s %s " "${w:-none}" "$k"
  [ "$w" = fired ] || return 0
  # It writes its record before it ends, so whether it lives is asked first.
  read -r p m < "./$k/started"
  began "$p" && [ "$b" = "$m" ]
  s=$?
  if [ -f "./$k/record" ]; then
    printf "record\n"
    cat -- "./$k/record"
  elif [ "$s" -eq 0 ]; then
    read -r x < "./$k/fired"
    printf "firing %s\n" "$x"
  else
    printf "cut %s\n" "$(stat -c %Z -- "./$k/fired")"
  fi
}
