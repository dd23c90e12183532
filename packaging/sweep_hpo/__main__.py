from sweep_hpo import main

main()
