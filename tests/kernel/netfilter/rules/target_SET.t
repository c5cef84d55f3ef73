@mangle FORWARD
%create a hash:ip timeout 60
%create p hash:ip,port,ip
%create k hash:net skbinfo
%create six hash:net family inet6
-j SET --add-set a src ; = ; ok
-j SET --add-set a src --timeout 4294967294 --exist ; -j SET --add-set a src --exist --timeout 4294967294 ; ok
-j SET --del-set p dst,dst,src ; = ; ok
-j SET --map-set k dst --map-queue --map-mark --map-prio ; -j SET --map-set k dst --map-mark --map-prio --map-queue ; ok
-p udp -j SET --del-set a dst --add-set a src,src ; -p udp -j SET --add-set a src,src --del-set a dst ; ok
-j SET ; ; fail
-j SET --add-set nosuch src ; ; fail
-j SET --add-set six src ; ; fail
-j SET --add-set a ; ; fail
-j SET --add-set a src --add-set a dst ; ; fail
-j SET --del-set a src --exist ; ; fail
-j SET --del-set a src --timeout 5 ; ; fail
-j SET --add-set a src --timeout 4294967295 ; ; fail
-j SET --add-set a src --map-mark ; ; fail
-j SET --map-set k src ; ; fail
