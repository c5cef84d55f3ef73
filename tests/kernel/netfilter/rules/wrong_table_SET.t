@filter FORWARD
%create k hash:net skbinfo
-j SET --map-set k src --map-mark ; ; fail
