// Goroutines that run and goroutines that sleep; it says "ready", and ends by itself where a sleep
// was short.
package main

import (
	"os"
	"runtime"
	"time"
)

func run() {
	for value := 0; ; value = (value*31 + 7) % 1000003 {
		if value == 1000003 {
			os.Exit(4)
		}
	}
}

func rest() {
	for {
		begin := time.Now()
		time.Sleep(2 * time.Millisecond)
		if time.Since(begin) < 2*time.Millisecond {
			os.Exit(3)
		}
	}
}

func main() {
	runtime.GOMAXPROCS(3)
	go run()
	go rest()
	os.Stdout.WriteString("ready\n")
	rest()
}
