# Verbs that change one thing.

# dress PATH MODE OWNER: `-` leaves it as it is. chmod follows links, so it is given what is open.
dress() {
  [ "$3" = - ] || chown -h -- "$3" "$1" || return 47
  [ "$2" != - ] || return 0
  open "$1" || return
  chmod -- "$2" /proc/self/fd/8
  s=$?
  exec 8<&-
  [ "$s" -eq 0 ] || return 47
}

# place TEMPORARY MODE OWNER: gives it its attributes and its name, or removes it.
place() {
  dress "$1" "$2" "$3" && mv -Tf -- "$1" "$B" && return
  s=$?
  rm -f -- "$1"
  return "$s"
}

# v_write FOLDER BASE TEMPORARY UMASK MODE OWNER TEXT
v_write() {
  at "$1" "$2" && keep || return
  umask "$4"
  set -C
  printf "%s" "$7" > "./$3" || {
    set +C
    rm -f -- "./$3"
    no 45 "the file could not be written whole: the disk is full, or the folder is read-only"
    return
  }
  set +C
  place "./$3" "$5" "$6"
}

# v_put FOLDER BASE TEMPORARY UMASK MODE OWNER SHA256: the content is what follows on stdin.
v_put() {
  at "$1" "$2" && keep || return
  umask "$4"
  fresh "$3" "$7" && place "./$3" "$5" "$6"
}

# fresh TEMPORARY SHA256: a new file that has what is on stdin, all of it.
fresh() {
  set -C
  cat > "./$1" || {
    set +C
    rm -f -- "./$1"
    no 45 "the file could not be written whole: the disk is full, or the folder is read-only"
    return
  }
  set +C
  x=$(sum "./$1")
  [ "${x%% *}" = "$2" ] || {
    rm -f -- "./$1"
    no 44 "the content arrived incomplete"
  }
}

# down: makes the folders of R and enters them. mkdir alone fails where somebody was faster, so each is ours.
down() {
  while [ -n "$R" ]; do
    b=${R%%/*}
    case $R in
      */*) R=${R#*/} ;;
      *) R= ;;
    esac
    mkdir -- "./$b" || return 47
    k=$((k + 1))
    step "$b" || return
    Z=
  done
}

# v_mkdir FOLDER BASE MODE OWNER: answers how many folders it made.
v_mkdir() {
  near "$1" "$2" || return
  k=0
  [ -z "$R" ] || down || return
  if here; then
    [ -d "$B" ] && [ ! -L "$B" ] || {
      no 42 "it is not a folder"
      return
    }
  else
    mkdir -- "$B" || return 47
    k=$((k + 1))
  fi
  dress "$B" "$3" "$4" || return
  printf "made %s\n" "$k"
}

# v_symlink FOLDER BASE TEMPORARY POINTS-TO
v_symlink() {
  at "$1" "$2" || return
  [ -L "$B" ] || ! here || {
    no 42 "something else than a symbolic link is there"
    return
  }
  ln -s -- "$4" "./$3" || return 47
  place "./$3" - -
}

# v_rename FOLDER BASE NEW-FOLDER NEW-BASE: the old folder stays open, since by its name it could be another by then.
v_rename() {
  AB=1
  at "$1" "$2" || return
  here || return 41
  alone "$1/$2" "$B" || return
  H=$V
  command exec 8< . || return 47
  move "$2" "$3" "$4"
  s=$?
  exec 8<&-
  return "$s"
}

move() {
  at "$2" "$3" || return
  there "$B" && {
    no 42 "the new name is taken"
    return
  }
  [ "$H" = "$V" ] || {
    mv -T -- "/proc/self/fd/8/$1" "$B"
    return
  }
  mv -T -- "./$1" "$B"
}

v_remove() {
  at "$1" "$2" || return
  here || return 0
  if [ -L "$B" ]; then
    rm -f -- "$B" || return 47
  elif [ -d "$B" ]; then
    rmdir -- "$B" || return 42
  else
    drop f
  fi
}

# v_rmtree FOLDER BASE: of a release, its account goes too.
v_rmtree() {
  AB=1
  at "$1" "$2" || return
  here || return 0
  alone "$1/$2" "$B" || return
  UC=
  if [ -L "$B" ]; then
    rm -f -- "$B" || return 47
  elif [ -d "$B" ]; then
    drop t || return
  else
    drop f || return
  fi
  case $PWD in
    */releases) cd -P .. && unlist "$2" ;;
  esac
  return 0
}

# v_dress FOLDER BASE MODE OWNER
v_dress() {
  at "$1" "$2" || return
  here || return 41
  [ ! -L "$B" ] || {
    no 42 "it is a symbolic link, which is not followed"
    return
  }
  dress "$B" "$3" "$4"
}
