// A Go process that says what a debugger is to show of it: see values.cpp. LLDB knows the functions
// and lines of Go's programs and not their types, so it is asked in C++, by what Go's values are made
// of. {NAME} is the address of a symbol.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

type settings struct {
	name    string
	retries int64
	limits  []int32
	ports   map[string]int64
	next    *settings
}

var config = settings{name: "set up in Go", retries: -3}
var counter uint32 = 1000000007

func show(what string, value interface{}) {
	fmt.Printf("expression\t%s\t%v\n", what, value)
}

// text shows a string whose two words, pointer and length, are at this address.
func text(at string, value string) {
	show(fmt.Sprintf("((long *)(%s))[1]", at), len(value))
	show(fmt.Sprintf("*(char (*)[%d])*(char **)(%s)", len(value), at), "\""+value+"\"")
}

// member is the address of what lies so far behind another one.
func member(at string, offset uintptr) string {
	return fmt.Sprintf("(%s + %d)", at, offset)
}

func showSettings(at string, value *settings) {
	text(member(at, unsafe.Offsetof(value.name)), value.name)
	show("*(long *)"+member(at, unsafe.Offsetof(value.retries)), value.retries)
	limits := member(at, unsafe.Offsetof(value.limits))
	show(fmt.Sprintf("((long *)%s)[1]", limits), len(value.limits))
	for i, limit := range value.limits {
		show(fmt.Sprintf("(*(int **)%s)[%d]", limits, i), limit)
	}
	// A map's first word is how many it has.
	show("**(long **)"+member(at, unsafe.Offsetof(value.ports)), len(value.ports))
}

func rest(ready chan<- bool) {
	var pipe [2]int
	var one [1]byte
	syscall.Pipe(pipe[:])
	runtime.LockOSThread()
	ready <- true
	syscall.Read(pipe[0], one[:])
}

//go:noinline
func waitForEnd() {
	var one [1]byte
	for {
		if _, err := syscall.Read(0, one[:]); err != syscall.EINTR {
			return
		}
	}
}

func main() {
	for i := int32(0); i < 40; i++ {
		config.limits = append(config.limits, i*i-6)
	}
	config.ports = map[string]int64{"http": 80, "https": 443, "ssh": 22}
	config.next = &settings{
		name:   fmt.Sprint("made by process ", os.Getpid()),
		limits: []int32{-1},
		ports:  map[string]int64{},
	}
	ready := make(chan bool)
	for i := 0; i < 3; i++ {
		go rest(ready)
		<-ready
	}
	fmt.Printf("ready %d\n", os.Getpid())
	show("*(int *){main.counter}", counter)
	showSettings("{main.config}", &config)
	next := "*(long *)" + member("{main.config}", unsafe.Offsetof(config.next))
	showSettings(next, config.next)
	fmt.Println("end")
	waitForEnd()
	runtime.KeepAlive(config)
}
