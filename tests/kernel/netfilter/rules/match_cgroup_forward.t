@filter FORWARD
-m cgroup --cgroup 1 ; ; fail
