# Which paths are safe to act on.

# trust FOLDER: refuses a physical path on which somebody else than a trusted user may put something in the place of
# something else. From the root down, so that by the time a folder is looked at nobody can have swapped it.
trust() {
  case $OK in
    *"$n$1$n"*) return 0 ;;
  esac
  D=$1
  case $D in
    *"$n"*)
      no 40 "a folder on the way has a line break in its name"
      return ;;
  esac
  r=${1#/}
  c=
  set -- /
  while [ -n "$r" ]; do
    x=${r%%/*}
    c=$c/$x
    set -- "$@" "$c"
    case $r in
      */*) r=${r#*/} ;;
      *) r= ;;
    esac
  done
  # What is likely to be asked next: one process tells as much as five.
  case $D/ in
    "$K"/*)
      for x in /.runner /.runner/releases /releases /backups /shared; do
        set -- "$@" "$K$x"
      done ;;
  esac
  o=$(stat -c "%u %g %f %n" -- "$@" 2>/dev/null)
  IFS=$n
  set -- $o
  unset IFS
  for l do
    a=${l%% *}
    l=${l#* }
    g=${l%% *}
    l=${l#* }
    m=$((0x${l%% *}))
    c=${l#* }
    safe || case $D/ in
      "${c%/}"/*)
        no 40 "$c $x"
        return ;;
    esac
  done
  case $OK in
    *"$n$D$n"*) return 0 ;;
  esac
  has stat || {
    no 40 "stat is missing on the target, so no path can be checked"
    return
  }
  no 40 "the folders above $D cannot be checked"
}

# safe: notes that the folder c, of the user a and the group g and with the mode m, is safe, or why not in x. The one
# that it is in must be.
safe() {
  case $OK in
    *"$n$c$n"*) return 0 ;;
  esac
  x=${c%/*}
  case $OK$n in
    *"$n${x:-/}$n"*) ;;
    *)
      x="is in a folder that is not safe"
      [ "$c" = / ] || return 1 ;;
  esac
  [ $((m & 0170000)) -eq 16384 ] || {
    x="is not a folder"
    return 1
  }
  case $U in
    *" $a "*) ;;
    *)
      x="belongs to a user who is neither root, nor the login user, nor the acting user (user id $a)"
      return 1 ;;
  esac
  w=$((m & 2))
  if [ $((m & 16)) -ne 0 ]; then
    case $G in
      *" $g "*) ! shared "$c" || w=1 ;;
      *) w=1 ;;
    esac
  fi
  if [ "$w" -ne 0 ]; then
    [ $((m & 512)) -ne 0 ] || {
      x="may be changed by others (its group id is $g)"
      return 1
    }
    SK=$SK$c$n
  fi
  OK=$OK$c$n
}

# shared FOLDER: an access list gives it to more than its owner and its group; the mode of the group is then its mask.
shared() {
  case $(ls -ld -- "$1" 2>/dev/null) in
    ??????????+*) return 0 ;;
  esac
  return 1
}

# mine PATH: in a folder such as /tmp others may own what is there; then it can change under our hands. What is not
# there now may be there in a moment, made by one of them: Z says that it counts as missing from here on.
mine() {
  Z=
  case $SK in
    *"$n$PWD$n"*) ;;
    *) return 0 ;;
  esac
  there "$1" || {
    Z=1
    return 0
  }
  x=$(stat -c "%u %h" -- "$1")
  case $U in
    *" ${x% *} "*)
      # Others may have given a file of ours a second name there.
      [ "${x#* }" = 1 ] || [ -d "$1" ] || no 40 "it is in a folder that others may write to, and has other names"
      return ;;
  esac
  x=${x% *}
  no 40 "it is in a folder that others may write to, and belongs to one of them (user id $x)"
}

# walk PATH: where the path leads, in Q, link by link. Each link must be where only trusted users can swap it.
walk() {
  z=${1#/}
  Q=/
  k=0
  while [ -n "$z" ]; do
    y=${z%%/*}
    case $z in
      */*) z=${z#*/} ;;
      *) z= ;;
    esac
    case $y in
      "" | .) continue ;;
      ..)
        Q=${Q%/*}
        Q=${Q:-/}
        continue ;;
    esac
    if [ -L "${Q%/}/$y" ]; then
      firm "${Q%/}/$y" || return
      trust "$Q" || return
      cd -P -- "$Q" || return 44
      mine "./$y" || return
      k=$((k + 1))
      [ "$k" -le 40 ] || {
        no 42 "too many symbolic links"
        return
      }
      x=$(readlink -- "./$y" && printf x) || return 44
      x=${x%?x}
      case $x in
        /*) Q=/ ;;
      esac
      z=$x/$z
    else
      Q=${Q%/}/$y
    fi
  done
}

# firm LINK: it is at no place in FP, where a step may write; or root has made it in a folder of its own and does not act
# here, so that no step can have. Else FL is its name, and the status is 1.
firm() {
  [ -n "$FP" ] || return 0
  IFS=$n
  set -- "$1" $FP
  unset IFS
  FL=$1
  shift
  for PL do
    case $FL/ in
      "${PL%/}"/*)
        roots "$FL"
        return ;;
    esac
  done
}

# roots LINK: root has made it where nobody else can, and does not act.
roots() {
  case $U in
    " 0 0 "*) return 1 ;;
  esac
  x=${1%/*}
  o=$(stat -c "%u %a" -- "$1" "${x:-/}" 2>/dev/null)
  case $o in
    *[2367]? | *[2367]) return 1 ;;
    "0 "*"$n""0 "*) return 0 ;;
  esac
  return 1
}

# places: FP is where a step may write (it is in WW), by the names that it has without links.
places() {
  IFS=$X
  set -- $WW
  unset IFS
  GP=
  for PL do
    FP=
    if [ "$PL" = / ]; then
      GP=$GP/$n
      continue
    fi
    walk "${PL%/*}/" >/dev/null || continue
    PF=${Q%/}/${PL##*/}
    GP=$GP$PF$n
    [ -L "$PF" ] && roots "$PF" && walk "$PF" >/dev/null && GP=$GP$Q$n
  done
  FP=$GP
}

# inside FOLDER BASE: whether where FOLDER leads is in a granted prefix, all links on both ways being trustworthy.
inside() {
  A=$PWD
  FP=
  walk "$1" || return
  [ "$Q" = "$A" ] || {
    no 40 "where $1 leads has changed meanwhile"
    return
  }
  b=$2
  places
  granted
  x=$?
  FP=
  return "$x"
}

# granted: the same of the folder A and of b in it. A link that a step may have made leads no prefix anywhere.
granted() {
  NF=
  IFS=$X
  set -- $W
  unset IFS
  for f do
    [ "$f" != / ] || return 0
    walk "${f%/*}/"
    s=$?
    if [ "$s" -eq 0 ]; then
      [ "${A%/}/$b" != "${Q%/}/${f##*/}" ] || return 0
      walk "$f"
      s=$?
    fi
    case $s in
      0) ;;
      1)
        NF="; a step could have made the link $FL: name where it leads in its place"
        continue ;;
      *) return "$s" ;;
    esac
    case $A/ in
      "${Q%/}"/*) return 0 ;;
    esac
  done
  no 40 "it leads to $A, which is outside of what is granted$NF"
}

# led FOLDER BASE: this folder was just entered; it is where the path says or where a grant allows. V is its name.
led() {
  V=$PWD
  [ "$V" != "$1" ] || return 0
  [ -n "$W" ] || return 46
  inside "$1" "$2" || return
  # A link may not lead into what only the runner may touch; its own paths say `.runner` themselves.
  case $1/ in
    */.runner/* | */.runner-*) return 0 ;;
  esac
  case $V/ in
    */.runner/* | */.runner-*) no 40 "it leads to $V, which belongs to the runner" ;;
  esac
}

# spared BASE: what is to be acted on, BASE in the folder V, is outside of all that is excepted, wherever links lead.
spared() {
  A=${V%/}/$1
  A=${A%/.}
  IFS=$X
  set -- $WX
  unset IFS
  for e do
    walk "${e%/*}/" || return
    apart "$e" "${Q%/}/${e##*/}" || return
    walk "$e" || return
    apart "$e" "${Q%/}" || return
  done
}

# apart EXCEPTED PLACE
apart() {
  case $A/ in
    "$2"/*)
      no 40 "it leads to ${A:-/}, and $1 is excepted from what is granted"
      return ;;
  esac
  [ -n "$AB" ] || return 0
  case $2/ in
    "$A"/*) no 40 "$1 is in ${A:-/}, and excepted from what is granted" ;;
  esac
}

# hold FOLDER BASE [REST]: this folder was just entered; what is in it, at BASE or further down at REST, may be acted on.
hold() {
  led "$1" "$2" || return
  trust "$V" || return
  [ -z "$WX" ] || spared "${3:-$2}" || return
  back "$V"
}

# stand FOLDER: enters a folder to work in, which may itself belong to others, but be swapped by none of them.
stand() {
  cd -P -- "$1" 2>/dev/null || {
    lost "$1"
    return
  }
  led "$1" . || return
  F=${V%/*}
  F=${F:-/}
  trust "$F" || return
  cd -P -- "$F" || return 44
  mine "./${V##*/}" || return
  [ -z "$Z" ] || return 41
  [ -z "$WX" ] || spared . || return
  back "$V"
}

# second: from here on it is about the second path of the request.
second() {
  W=$S
  WX=$SX
}

# alone LEXICAL PATH: nothing in this tree belongs to the runner, except where the request itself says `.runner`.
alone() {
  case $1/ in
    */.runner/*) return 0 ;;
  esac
  [ -d "$2" ] && [ ! -L "$2" ] || return 0
  has find || {
    no 51 "find is missing on the target"
    return
  }
  x=$(find "$2" -name .runner -prune -print 2>/dev/null)
  [ -z "$x" ] || no 40 "${x%%"$n"*} in it belongs to the runner"
}

# back FOLDER: enters a folder by its real name; then V is that.
back() {
  cd -P -- "$1" || return 44
  V=$1
  sure
}

# step NAME: enters the folder of this name in V, the one that we are in. Looking at it before would be no use: whoever
# may write here can swap it for a link between the look and the step.
step() {
  cd -P -- "./$1" 2>/dev/null || {
    no 47 "no permission to enter it"
    return
  }
  [ "$1" = . ] || V=${V%/}/$1
  sure
}

# sure: we are in V. Where we are is what the kernel says: bash and others say which way they believe to have come.
sure() {
  P=$PWD
  [ -z "$BASH_VERSION$KSH_VERSION$ZSH_VERSION$YASH_VERSION" ] || {
    P=$(env pwd -P && printf x) || return 44
    P=${P%?x}
  }
  [ "$P" = "$V" ] || no 40 "the way to $V has changed meanwhile, and leads to $P"
}

# open PATH: opens what is there, in V, as 8, and looks where it really is. Of a file that was looked at before, the
# name may be that of a link by now.
open() {
  command exec 8< "$1" || return 47
  x=$(readlink -- /proc/self/fd/8 && printf x) || {
    exec 8<&-
    no 40 "/proc is missing on the target, so that nothing can be opened safely"
    return
  }
  [ "${x%?x}" = "${V%/}/${1#./}" ] || {
    exec 8<&-
    no 40 "it was swapped for a link meanwhile"
  }
}

# at FOLDER BASE: enters the folder; B is then what to act on.
at() {
  B=./$2
  cd -P -- "$1" 2>/dev/null || {
    lost "$1"
    return
  }
  hold "$1" "$2" || return
  mine "$B"
}

# lost FOLDER: why it cannot be entered.
lost() {
  if [ -d "$1" ]; then
    no 47 "no permission to enter $1"
  elif [ -e "$1" ] || [ -L "$1" ]; then
    no 42 "$1 is not a folder"
  else
    no 41 "no folder $1"
  fi
}

# near FOLDER BASE: enters the folder, or the nearest one above it that exists; R is then the way from there.
near() {
  F=$1
  R=
  Z=
  until cd -P -- "$F" 2>/dev/null; do
    if [ -e "$F" ] || [ -L "$F" ]; then
      lost "$F"
      return
    fi
    R=${F##*/}${R:+/$R}
    F=${F%/*}
    F=${F:-/}
  done
  if [ -n "$R" ]; then
    b=${R%%/*}
  else
    b=$2
  fi
  hold "$F" "$b" "${R:+$R/}$2" || return
  B=./$2
  [ -n "$R" ] || mine "$B"
}

# into FOLDER BASE: enters the folder FOLDER/BASE itself, which is no link.
into() {
  at "$1" "$2" || return
  here || return 41
  [ -d "$B" ] && [ ! -L "$B" ] || {
    no 42 "it is not a folder"
    return
  }
  step "$2"
}

there() {
  [ -e "$1" ] || [ -L "$1" ]
}

# here: what the request acts on is there, and only trusted users can swap it.
here() {
  [ -z "$Z" ] && there "$B"
}
