@filter FORWARD
-m physdev --physdev-in eth0 -j ACCEPT ; = ; ok
-m physdev --physdev-out veth+ --physdev-is-bridged -j ACCEPT ; = ; ok
-m physdev ! --physdev-is-in --physdev-is-out -j ACCEPT ; = ; ok
-m physdev ! --physdev-in eth0 -j ACCEPT ; = ; ok
-m physdev --physdev-is-bridged -j ACCEPT ; = ; ok
-m physdev -j ACCEPT ; ; fail
-m physdev --physdev-in a --physdev-is-in ! --physdev-is-out --physdev-out b ; -m physdev --physdev-is-in --physdev-in a ! --physdev-is-out --physdev-out b ; ok
-m physdev --physdev-in averylonginterfacename ; ; fail
