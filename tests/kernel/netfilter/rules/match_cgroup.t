@filter OUTPUT
-m cgroup --cgroup 1 ; = ; ok
-m cgroup ! --cgroup 1048577 -j DROP ; = ; ok
-m cgroup --path / ; -m cgroup --path "/" ; ok
-m cgroup ! --path / ; -m cgroup ! --path "/" ; ok
-m cgroup --path nosuchgroup ; ; fail
-m cgroup --cgroup 1 --path / ; ; fail
-m cgroup ; ; fail
-m cgroup --cgroup x ; ; fail
