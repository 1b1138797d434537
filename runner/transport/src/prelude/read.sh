# Verbs that change nothing.

# look: kind and mode, size, seconds, ids, names. What is open for others to swap was refused before.
look() {
  here || return 41
  stat -c "%f %s %Y %u %g %U %G" -- "$B" || return 41
}

# v_folder FOLDER BASE: it is a folder. Neither this nor the next costs a process.
v_folder() {
  at "$1" "$2" || return
  here || return 41
  [ -d "$B" ] && [ ! -L "$B" ] || no 42 "it is not a folder"
}

# v_nothing FOLDER BASE
v_nothing() {
  at "$1" "$2" || return
  ! here || no 42 "something is there"
}

v_stat() {
  at "$1" "$2" && look
}

# v_dir FOLDER BASE MARK: one record for each entry; no name can hold the mark, which was not known when it was made.
v_dir() {
  into "$1" "$2" || return
  m="$3 %f %s %Y %u %g %U %G %n"
  set +f
  set -- /
  for g in "./*" "./.[!.]*" "./..?*"; do
    for p in $g; do
      break
    done
    ! there "$p" || set -- "$@" $g
  done
  # Few names go on one command line; xargs finds out how many are too many.
  if [ $# -lt 500 ]; then
    stat -c "$m" -- "$@"
  else
    printf "%s\0" "$@" | xargs -0 stat -c "$m" --
  fi
}

v_link() {
  at "$1" "$2" || return
  here || return 41
  [ -L "$B" ] || {
    no 42 "it is not a symbolic link"
    return
  }
  readlink -- "$B"
}

# plain: it is a regular file.
plain() {
  here || return 41
  [ ! -L "$B" ] || {
    no 42 "it is a symbolic link, which is not followed"
    return
  }
  [ ! -d "$B" ] || {
    no 48 "it is a folder"
    return
  }
  [ -f "$B" ] || {
    no 42 "it is neither a file nor a folder"
    return
  }
  [ -r "$B" ] || no 47 "no permission to read it"
}

# v_read FOLDER BASE LIMIT
v_read() {
  at "$1" "$2" && plain && open "$B" || return
  head -c "$3" <&8
  s=$?
  exec 8<&-
  return "$s"
}

v_cat() {
  at "$1" "$2" && plain && open "$B" || return
  cat <&8
  s=$?
  exec 8<&-
  return "$s"
}

v_sum() {
  at "$1" "$2" && plain && sum "$B"
}

sum() {
  open "$1" || return
  sha256sum <&8
  s=$?
  exec 8<&-
  return "$s"
}

v_free() {
  near "$1" "$2" || return
  [ -z "$R" ] && here && [ -d "$B" ] && [ ! -L "$B" ] || B=.
  df -Pk -- "$B"
}

# tree MARK: all below this folder: a record with the mark for each entry, a line of sha256sum for each file, then the
# mark alone. A find that cannot print says nothing of links: then, after the word `again`, what is in each link follows
# the mark alone, in the order of the records.
tree() {
  find . -printf "$1 %y %m %s %U %G %p\\0%l\\0\\n" -type f -exec sha256sum -- {} + 2>/dev/null && {
    printf "%s \n" "$1"
    return
  }
  printf "\n%s again\n" "$1"
  find . -exec stat -c "$1 %f %s %u %g %n" -- {} + -type f -exec sha256sum -- {} + || {
    no 44 "not all of it could be read"
    return
  }
  printf "%s \n" "$1"
  find . -type l -exec readlink -z -- {} + 2>/dev/null || find . -type l -exec sh -c "for f do readlink -n -- \"\$f\" && printf \"\\0\" || exit 1; done" sh {} +
}

# v_tree FOLDER BASE MARK
v_tree() {
  AB=1
  into "$1" "$2" && tree "$3"
}

# v_cats FOLDER BASE: the files whose names come on stdin, one after the other.
v_cats() {
  AB=1
  into "$1" "$2" && xargs -0 cat --
}

# v_saw FOLDER BASE: what a change would find: the folder itself, then what is there, its digest or link.
v_saw() {
  at "$1" "$2" || return
  saw
}

saw() {
  if ! here; then
    stat -c "%f %s %Y %u %g %U %G" -- .
  elif [ -L "$B" ]; then
    stat -c "%f %s %Y %u %g %U %G" -- . "$B" && readlink -- "$B"
  elif [ -f "$B" ]; then
    stat -c "%f %s %Y %u %g %U %G" -- . "$B" && {
      [ -r "$B" ] || {
        no 47 "no permission to read it"
        return
      }
      sum "$B"
    }
  else
    stat -c "%f %s %Y %u %g %U %G" -- . "$B"
  fi
}

# v_saw_link FOLDER BASE: the same for a link, without the folder.
v_saw_link() {
  at "$1" "$2" || return
  here || return 41
  [ -L "$B" ] || {
    no 42 "something else than a symbolic link is there"
    return
  }
  readlink -- "$B"
}

# v_near FOLDER BASE: the same where the folder may be missing, with the way to it from the one that is there.
v_near() {
  near "$1" "$2" || return
  if [ -n "$R" ]; then
    stat -c "%f %s %Y %u %g %U %G" -- . && printf "missing %s\n" "$R"
  else
    saw
  fi
}
