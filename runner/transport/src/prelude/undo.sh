# Copies of what a change destroys, and putting them back.
#
# UD the folder of the run's copies, UK the name of this effect's folder in it (empty: no copy is kept), UC that folder,
# which only this user may enter. In it, `f` is a file and `t` a tree; the account of a release is there under its own
# name, with what was kept with it. KP what became of the copy: nothing, `made`, or `no` and why.

# keeping VERB ARGUMENTS: tells in the end what became of the copy.
keeping() {
  KP=
  "$@" || return
  printf "copy %s\n" "$KP"
}

# nest: makes the folder of the copy. Where this user cannot reach it, UC is empty, and the change goes on without one.
nest() {
  UC=
  [ -n "$UK" ] || return 0
  trust "$UD" >/dev/null && [ -w "$UD" ] && [ -x "$UD" ] || {
    KP="no the acting user cannot write to $UD"
    return 0
  }
  mkdir -m 700 -- "$UD/$UK" 2>/dev/null || {
    ! there "$UD/$UK" || aside || return
    mkdir -m 700 -- "$UD/$UK" || {
      no 45 "no undo copy can be kept in $UD"
      return
    }
  }
  UC=$UD/$UK
}

# aside: what an attempt left that was cut off may be all that there is, so it is never written over.
aside() {
  x=$(stat -c %u -- "$UD/$UK")
  case $U in
    *" $x "*) mv -T -- "$UD/$UK" "$UD/$UK.$$.$i" && return ;;
  esac
  no 42 "somebody else has taken the name of its undo copy in $UD"
}

# keep: a copy of the file B, which is about to be replaced. It is taken from what is open: the name could be that of a
# link by then.
keep() {
  [ -n "$UK" ] && here && [ -f "$B" ] && [ ! -L "$B" ] || return 0
  nest || return
  [ -n "$UC" ] || return 0
  open "$B" || return
  cp --reflink=auto -p -- /proc/self/fd/8 "$UC/f" 2>/dev/null || cp -fp -- /proc/self/fd/8 "$UC/f"
  s=$?
  exec 8<&-
  [ "$s" -eq 0 ] || {
    spoilt
    return
  }
  KP=made
}

# double FROM TO: a copy with all that it has, by reference where the file system can.
double() {
  cp --reflink=auto -a -- "$1" "$2" 2>/dev/null || {
    gone "$2"
    cp -a -- "$1" "$2"
  }
}

spoilt() {
  gone "$UC"
  no 45 "no undo copy of it can be made: the disk is full, or not all of it can be read"
}

# far: the copies are on another file system than this folder.
far() {
  x=$(stat -c %d -- . "$UC") || return 0
  [ "${x%%"$n"*}" != "${x##*"$n"}" ]
}

# loose PATH: a folder that its owner may not write to cannot be moved out of another one. LM is the mode that it had.
loose() {
  LM=-
  [ -d "$1" ] && [ ! -L "$1" ] && [ ! -w "$1" ] || return 0
  LM=0$(stat -c %a -- "$1")
  dress "$1" u+w -
}

# drop NAME: B goes, and is kept under this name.
drop() {
  nest || return
  if [ -z "$UC" ]; then
    rm -rf -- "$B" || return 47
    return 0
  fi
  if far; then
    double "$B" "$UC/$1" || {
      spoilt
      return
    }
    rm -rf -- "$B" || return 47
  else
    loose "$B" && mv -T -- "$B" "$UC/$1" || {
      s=$?
      rmdir -- "$UC" 2>/dev/null
      [ "$s" -ge 40 ] || s=47
      return "$s"
    }
  fi
  KP=made
}

# unlist ID: the account of a release goes, from the folder above the one of releases, and is kept.
unlist() {
  [ ! -L ./.runner ] && [ ! -L ./.runner/releases ] || return 0
  for p in json tree plan; do
    [ -e "./.runner/releases/$1.$p" ] || continue
    if [ -n "$UC" ]; then
      mv -f -- "./.runner/releases/$1.$p" "$UC/"
    else
      rm -f -- "./.runner/releases/$1.$p"
    fi
  done
}

# v_back FOLDER BASE TEMPORARY NAME MODE: what was kept under this name takes the place of what is there. MODE is that of
# a folder.
v_back() {
  AB=1
  at "$1" "$2" || return
  UC=$UD/$UK
  trust "$UC" || return
  there "$UC/$4" || {
    no 41 "its undo copy is gone"
    return
  }
  alone "$1/$2" "$B" || return
  # A temporary name alone would not do: in a folder like /tmp another user could be there first.
  mkdir -m 700 -- "./$3" || return 47
  if far; then
    double "$UC/$4" "./$3/new" || {
      gone "./$3"
      no 45 "its undo copy could not be put back: the disk is full"
      return
    }
    p=./$3/new
  else
    p=$UC/$4
  fi
  [ ! -d "$p" ] || [ -w "$p" ] || chmod u+w -- "$p" || return 47
  relist "$2" || return
  LM=-
  # A file takes the place of a file or a link in one step; a folder cannot.
  if here && { [ -d "$p" ] || [ -d "$B" ]; }; then
    loose "$B" && mv -T -- "$B" "./$3/old" || {
      gone "./$3"
      return 47
    }
  fi
  mv -Tf -- "$p" "$B" || {
    ! there "./$3/old" || mv -T -- "./$3/old" "$B" && dress "$B" "$LM" -
    gone "./$3"
    return 47
  }
  [ "$5" = - ] || dress "$B" "$5" - || return
  gone "./$3"
}

# relist ID: the account of a release comes back, if one was kept.
relist() {
  [ -e "$UC/$1.json" ] || return 0
  H=$V
  account || return
  for x in json tree plan; do
    [ ! -e "$UC/$1.$x" ] || mv -f -- "$UC/$1.$x" ./ || return 47
  done
  back "$H"
}

# v_out FOLDER BASE TEMPORARY: what was made goes at once, as it came; of a release, its account first.
v_out() {
  AB=1
  at "$1" "$2" || return
  here || return 41
  alone "$1/$2" "$B" || return
  UC=
  H=$V
  case $PWD in
    */releases)
      cd -P .. && unlist "$2"
      back "$H" || return ;;
  esac
  mkdir -m 700 -- "./$3" || return 47
  loose "$B" && mv -T -- "$B" "./$3/old" || {
    gone "./$3"
    return 47
  }
  gone "./$3"
}

# v_relink FOLDER BASE TEMPORARY POINTS-TO: the link that was there takes the place of a file or a link.
v_relink() {
  at "$1" "$2" || return
  [ -L "$B" ] || [ ! -d "$B" ] || return 42
  ln -s -- "$4" "./$3" || return 47
  place "./$3" - -
}

# v_unmkdir FOLDER BASE COUNT: that many folders go, the deepest first.
v_unmkdir() {
  at "$1" "$2" || return
  here || return 41
  k=$3
  b=$2
  while [ "$k" -gt 0 ]; do
    rmdir -- "./$b" || return 42
    k=$((k - 1))
    [ "$k" -gt 0 ] || return 0
    b=${V##*/}
    V=${V%/*}
    back "${V:-/}" || return
  done
}

# v_owned FOLDER: who has what in a folder of the run.
v_owned() {
  cd -P -- "$1" 2>/dev/null || return 0
  trust "$PWD" || return
  set +f
  set -- ./*
  set -f
  ! there "$1" || printf "%s\0" "$@" | xargs -0 stat -c "%u %n" --
}

# v_forget FOLDER NAMES: of this user's, in a folder of the run.
v_forget() {
  trust "$1" && cd -P -- "$1" || return
  shift
  s=0
  for p do
    gone "./$p" || s=47
  done
  return "$s"
}
