@filter FORWARD
-m addrtype --dst-type LOCAL -j ACCEPT ; = ; ok
-m addrtype ! --src-type LOCAL,BROADCAST --limit-iface-in -j ACCEPT ; = ; ok
-m addrtype --src-type UNICAST --dst-type MULTICAST -j ACCEPT ; = ; ok
-m addrtype ! --dst-type LOCAL --limit-iface-out -j ACCEPT ; = ; ok
-m addrtype --dst-type NOSUCH -j ACCEPT ; ; fail
-m addrtype -j ACCEPT ; ; fail
