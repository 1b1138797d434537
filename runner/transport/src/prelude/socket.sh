# Sockets of daemons.

# listens FOLDER BASE: a socket is there that this user may connect to, and only trusted users can swap it. Answers nothing.
listens() {
  at "$1" "$2" || return
  here || return 41
  [ ! -L "$B" ] || {
    no 42 "it is a symbolic link, which is not followed"
    return
  }
  [ -S "$B" ] || {
    no 42 "it is no socket"
    return
  }
  [ -w "$B" ] || no 47 "no permission to connect to it"
}

# v_socket FOLDER BASE: answers where it really is.
v_socket() {
  listens "$1" "$2" || return
  printf "%s\n" "${V%/}/$2"
}

# v_socat FOLDER BASE LIMIT: what comes on stdin goes to the socket, and what the other side says until it closes is the
# answer. The socket is not closed halfway: some daemons then answer no more. What is longer than LIMIT is cut off.
v_socat() {
  listens "$1" "$2" || return
  has socat || {
    no 51 "socat is missing on the target"
    return
  }
  # socat would take these for the end of the name.
  case $2 in
    *[!A-Za-z0-9._+@-]*)
      no 43 "socat cannot be given a socket of that name"
      return ;;
  esac
  exec 4>&1
  x=$({ talked "$B" | head -c "$3" >&4; } 6>&1)
  exec 4>&-
  [ "$x" = 0 ] || [ "$x" = 141 ] || no 53 ""
}

talked() {
  socat -t 60 - "UNIX-CONNECT:$1,shut-none" 4>&- 6>&- 9>&-
  printf "%s" "$?" >&6
}
