#!/bin/sh
# host.sh FOLDER NAME [DISK-SIZE]: the first process of one host, in namespaces of its own (mount, pid, uts).
#
# Everything it mounts is seen by this host alone, and when it ends the kernel ends all that runs in the host. It ends
# when its stdin does, that is when the fleet's owner closes it or dies, however that happens.
set -eu
folder=$1 name=$2 disk=${3:-}

read -r outer _ < /proc/self/stat # our number as the rest of the machine sees it
mount -t proc proc /proc
echo "$name" > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd # sshd's privilege separation
mount --bind "$folder/srv" /srv
mount --bind "$folder/home" /home
for file in passwd group shadow sudoers hosts; do
  mount --bind "$folder/etc/$file" "/etc/$file"
done
if [ -n "$disk" ]; then
  mount -t tmpfs -o "size=$disk,mode=755" tmpfs /srv/app
  chown --reference="$folder/home/deploy" /srv/app
fi
sh "$folder/start-sshd"
echo "$outer" > "$folder/init.new"
mv "$folder/init.new" "$folder/init"
cat > /dev/null
