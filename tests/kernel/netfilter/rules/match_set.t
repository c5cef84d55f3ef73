@filter FORWARD
%create c hash:ip counters
%create p hash:ip,port,ip
%create six hash:net family inet6
%create l list:set
%create b bitmap:port range 0-1024
-m set --match-set c src -j ACCEPT ; = ; ok
-m set ! --match-set c dst -j DROP ; = ; ok
-m set --match-set p dst,dst,src -j ACCEPT ; = ; ok
-m set --match-set l src,dst ; = ; ok
-p tcp -m set --match-set b dst -j ACCEPT ; = ; ok
-m set --match-set c src,src,src,src,src,src ; = ; ok
-m set --match-set c srcs,dst.x ; -m set --match-set c src,dst ; ok
-m set --match-set c src --return-nomatch ; = ; ok
-m set ! --match-set c src --return-nomatch ! --update-counters ! --update-subcounters ; = ; ok
-m set --match-set c src --update-counters --update-subcounters ; -m set --match-set c src ; ok
-m set --match-set c src --packets-eq 5 ; = ; ok
-m set --match-set c src --bytes-gt 0x10 ! --packets-eq 5 ; -m set --match-set c src ! --packets-eq 5 --bytes-gt 16 ; ok
-m set --match-set c src --packets-lt 5 --bytes-lt 18446744073709551615 ; = ; ok
-m set --match-set c src -m set --match-set p dst,dst,src -m comment --comment "two sets" -j ACCEPT ; = ; ok
-m set --match-set nosuch src ; ; fail
-m set --match-set six src ; ; fail
-m set --match-set c ; ; fail
-m set --match-set c -j ACCEPT ; ; fail
-m set --match-set c source ; ; fail
-m set --match-set c physdev:src ; ; fail
-m set --match-set c src,src,src,src,src,src,src ; ; fail
-m set --match-set aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa src ; ; fail
-m set --match-set c src --match-set c dst ; ; fail
-m set -j ACCEPT ; ; fail
-m set --match-set c src ! --return-nomatch ; ; fail
-m set --match-set c src ! --packets-lt 5 ; ; fail
-m set --match-set c src --packets-lt 5 --packets-gt 3 ; ; fail
-m set --match-set c src --bytes-eq many ; ; fail
