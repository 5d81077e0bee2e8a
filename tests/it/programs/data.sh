# Makes /data: what the tasks work on.
mkdir /data
cd /data
printf 'one\ntwo\ntwo\nthree\nfour\nZoë\n' >words
sort words >sorted
printf 'a b\nb c\nc d\n' >table
printf '#command\nq quit\n' >keys
ln -s words link
for name in words sorted; do
    gzip -nk $name
    xz -k $name
done
xz -k --format=lzma words
mkdir /run/tree
cp words table /run/tree
tar -C /run -cf tree.tar tree
tar -C /run -czf tree.tar.gz tree
tar -C /run -cJf tree.tar.xz tree
printf '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x10\x08\x06\0\0\0' >picture.png
ssh-keygen -q -t ed25519 -N '' -C riddler -f /run/key
cp /run/key.pub key.pub
git init -q /run/repository
cd /run/repository
cp /data/words .
git add words
git -c user.name=e -c user.email=nygma@gotham commit -qm 'a riddle'
git bundle create -q /data/repository.bundle HEAD master
chmod -R go=rX /data
