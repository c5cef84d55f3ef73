"""Programs that pods run, and the familiar commands of `emulator exec`. They see a pod's network and nothing else."""
