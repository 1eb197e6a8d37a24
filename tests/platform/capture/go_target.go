// Goroutines that run and goroutines that sleep. They append a letter for what they have done to
// the file that it is given: r, s. Ends by itself where a sleep was short.
package main

import (
	"os"
	"runtime"
	"time"
)

const rounds = 1000000

var progress *os.File

func tell(letter string) {
	if _, err := progress.WriteString(letter); err != nil {
		os.Exit(5)
	}
}

func run() {
	for value := 0; ; {
		for i := 0; i < rounds; i++ {
			value = (value*31 + 7) % 1000003
		}
		if value == 1000003 {
			os.Exit(4)
		}
		tell("r")
	}
}

func rest() {
	for {
		begin := time.Now()
		time.Sleep(2 * time.Millisecond)
		if time.Since(begin) < 2*time.Millisecond {
			os.Exit(3)
		}
		tell("s")
	}
}

func main() {
	var err error
	progress, err = os.OpenFile(os.Args[1], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		os.Exit(2)
	}
	runtime.GOMAXPROCS(3)
	go run()
	go rest()
	os.Stdout.WriteString("ready\n")
	rest()
}
