@mangle PREROUTING
-m cluster --cluster-total-nodes 2 --cluster-local-node 1 --cluster-hash-seed 0xdeadbeef ; -m cluster --cluster-local-nodemask 0x00000001 --cluster-total-nodes 2 --cluster-hash-seed 0xdeadbeef ; ok
-m cluster --cluster-total-nodes 3 ! --cluster-local-nodemask 3 --cluster-hash-seed 5 -j DROP ; -m cluster ! --cluster-local-nodemask 0x00000003 --cluster-total-nodes 3 --cluster-hash-seed 0x00000005 -j DROP ; ok
-m cluster --cluster-total-nodes 2 --cluster-local-node 3 --cluster-hash-seed 5 ; ; fail
-m cluster --cluster-total-nodes 2 --cluster-local-nodemask 4 --cluster-hash-seed 5 ; ; fail
-m cluster --cluster-total-nodes 33 --cluster-local-node 3 --cluster-hash-seed 5 ; ; fail
-m cluster --cluster-total-nodes 2 --cluster-local-node 1 ; ; fail
-m cluster --cluster-total-nodes 2 --cluster-hash-seed 5 ; ; fail
-m cluster ; ; fail
