@filter FORWARD
-m recent --name X --rcheck --seconds 10800 --reap -j ACCEPT ; -m recent --rcheck --seconds 10800 --reap --name X --mask 255.255.255.255 --rsource -j ACCEPT ; ok
-m recent --name X --set -j ACCEPT ; -m recent --set --name X --mask 255.255.255.255 --rsource -j ACCEPT ; ok
-m recent --set --rdest -j ACCEPT ; -m recent --set --name DEFAULT --mask 255.255.255.255 --rdest -j ACCEPT ; ok
-m recent ! --update --seconds 60 --hitcount 4 --rttl --name Y --mask 255.255.255.0 -j ACCEPT ; -m recent ! --update --seconds 60 --hitcount 4 --rttl --name Y --mask 255.255.255.0 --rsource -j ACCEPT ; ok
-m recent --remove -j ACCEPT ; -m recent --remove --name DEFAULT --mask 255.255.255.255 --rsource -j ACCEPT ; ok
-m recent --rcheck --hitcount 3 -j ACCEPT ; -m recent --rcheck --hitcount 3 --name DEFAULT --mask 255.255.255.255 --rsource -j ACCEPT ; ok
-m recent -j ACCEPT ; ; fail
-m recent --rcheck --reap -j ACCEPT ; ; fail
-m recent --set --rcheck -j ACCEPT ; ; fail
