# What runs on a target: POSIX sh and coreutils, nothing installed. It is handed to `sh -c` on one line (comments and
# line ends are taken out by script.rs, so a statement never spans lines other than after a word that continues it, and
# there is no single quote in here), then reads requests, one a line, and evaluates them.
#
# Statuses: 40 denied, 41 not found, 42 conflict, 43 invalid, 44 other, 45 no space, 46 needs the prefixes (in W),
# 47 no permission, 48 is a folder, 49 the intent was not written, 50 the copies failed, 51 no such program,
# 52 another run has the lock, 53 socat failed.
# A message for people is printed on stdout.
#
# N nonce, Y where setsid is, U and G user and group ids that are trusted, W and WX prefixes that are granted and excepted
# for the path of a request, S and SX those for its second path (what is read by a verb that writes), AB not empty: the
# request is about all below its path. WW what the step may write to. IF and IB folder and name of the file that a command reads, UZ what it is unpacked
# with, PK what its output is packed with. K the release root of the run, or a dot. OK folders that were found safe, SK those of them where others may make files of
# their own.
# No newline of its own may be in a line: n holds one, X the tab that is between prefixes. Both are in what a shell
# begins with; every process that is spared is a millisecond.
n=${IFS#??}
X=${IFS#?}
X=${X%?}
W=
WW=
WX=
S=
SX=
AB=
IF=
IB=
UZ=
PK=
K=.
UD=
UK=
UC=
FP=
KP=
GD=
OK=$n
SK=$n
LE=
LK=
LO=
Z=
Y=
U=" 0 "
G=" "
export LC_ALL=C
umask 022
set -f
# A tool is never taken from the folder that a verb happens to be in.
IFS=:
x=
for p in $PATH; do
  case $p in
    /*) x=$x${x:+:}$p ;;
  esac
done
unset IFS
PATH=${x:-/usr/local/bin:/usr/bin:/bin}

# q NUMBER VERB ARGUMENTS: answers on both streams, so that whoever asked knows where each ends.
q() {
  i=$1
  shift
  "$@"
  s=$?
  cd /
  W=
  WW=
  WX=
  S=
  SX=
  AB=
  UK=
  umask 022
  set -f +C
  printf "%s:%s:%s\n" "$N" "$i" "$s"
  printf "%s:%s:%s\n" "$N" "$i" "$s" >&2
}

# again LINE: goes on only when LINE comes next: else some input of the request before was left, and would be taken for
# requests.
again() {
  IFS= read -r l && [ "$l" = "$1" ] || exit
}

no() {
  s=$1
  shift
  printf "%s" "$*"
  return "$s"
}

# j INTENT VERB ARGUMENTS: the intent is on disk before the verb begins, if the lock is still this run's.
j() {
  held || return
  printf "%s\n" "$1" >&9 || {
    printf "%s" "the intent could not be written to the run folder of the target"
    return 49
  }
  shift
  "$@"
}

# hello TRUSTED-UID TRUSTED-GID: facts, and who is trusted: root, this user and the one that logged in.
hello() {
  x=$(id) || return 51
  u=${x#uid=}
  me=${u#*\(}
  me=${me%%\)*}
  u=${u%%[!0-9]*}
  g=${x#* gid=}
  mg=${g#*\(}
  mg=${mg%%\)*}
  g=${g%%[!0-9]*}
  U=" 0 $u $1 "
  if [ "$me" = "$mg" ]; then
    G=" $g $2 "
    pg=$g
  else
    G=" $2 "
    pg=
  fi
  if [ -r /proc/sys/kernel/arch ] && [ -r /proc/sys/kernel/hostname ] && [ -r /proc/sys/kernel/ostype ]; then
    read -r a < /proc/sys/kernel/arch
    read -r h < /proc/sys/kernel/hostname
    read -r o < /proc/sys/kernel/ostype
    set -- "$o" "$h" "$a"
  else
    set -- $(uname -snm)
  fi
  d=unknown
  [ ! -r /etc/os-release ] || while IFS= read -r l; do
    case $l in
      ID=*)
        d=${l#ID=}
        d=${d#\"}
        d=${d%\"}
        break ;;
    esac
  done < /etc/os-release
  if [ -d /run/systemd/system ]; then
    s=systemd
  else
    s=unknown
    [ ! -r /proc/1/comm ] || IFS= read -r s < /proc/1/comm
  fi
  x=
  for p in tar zstd gzip sha256sum stat setsid systemctl; do
    ! has "$p" || x=$x$f/$p$n
  done
  printf "%s\n" "user $me" "uid $u" "group $mg" "gid $g" "private $pg" "os $1" "hostname $2" "arch $3" "distribution $d" "init $s" "home $HOME" "$x"
}

# has PROGRAM: looked for by hand, since functions of this script have the names of tools. It is in the folder f.
has() {
  case $1 in
    */*)
      [ -x "$1" ] && [ ! -d "$1" ]
      return ;;
  esac
  IFS=:
  set -- "$1" $PATH
  unset IFS
  h=$1
  shift
  for f do
    [ ! -x "$f/$h" ] || [ -d "$f/$h" ] || return 0
  done
  return 1
}
