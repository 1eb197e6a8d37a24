/*
 * A C++ process that says what a debugger is to show of it.
 *
 * usage: values_cpp
 *
 * Prints `ready PID`, then a line for each value: how to ask for it, what to ask for, and what is
 * to be seen, with tabs between (readers/compare_lldb.py); then `end`. Ends when its standard input
 * does.
 */
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace shop {

class shape {
  public:
    virtual ~shape() = default;
    virtual int corners() const = 0;
};

class star : public shape {
  public:
    explicit star(int points) : points(points) {
    }
    int corners() const override {
        return 2 * points;
    }
    int points;
};

struct article {
    static int count;
    std::string name;
    long left;
    std::unique_ptr<article> next;
};

int article::count;

} // namespace shop

std::string short_text = "short";
std::string long_text = "longer than what a string has room for in itself";
std::vector<int> numbers;
std::vector<std::string> names;
std::map<std::string, int> ports;
shop::shape *drawn;
std::unique_ptr<shop::article> first;

static void show(const char *how, const char *what, long number) {
    std::printf("%s\t%s\t%ld\n", how, what, number);
}

static void show(const char *how, const char *what, const std::string &text) {
    std::printf("%s\t%s\t\"%s\"\n", how, what, text.c_str());
}

static void show_size(const char *what, std::size_t size) {
    std::printf("variable\t%s\tsize=%zu\n", what, size);
}

static void show_containers() {
    show_size("numbers", numbers.size());
    show("variable", "numbers[1]", numbers[1]);
    show("variable", "numbers[999]", numbers[999]);
    show_size("names", names.size());
    show("variable", "names[0]", names[0]);
    show("variable", "names[1]", names[1]);
    show_size("ports", ports.size());
    int at = 0;
    for (const auto &port : ports) {
        const std::string path = "ports[" + std::to_string(at++) + "]";
        show("variable", (path + ".first").c_str(), port.first);
        show("variable", (path + ".second").c_str(), port.second);
    }
}

/* drawn is of a type that only its table of virtual functions tells. */
static void show_objects() {
    show("global", "drawn->points", dynamic_cast<shop::star *>(drawn)->points);
    show("variable", "first->name", first->name);
    show("variable", "first->left", first->left);
    show("variable", "first->next->name", first->next->name);
    show("global", "shop::article::count", shop::article::count);
    show("expression", "((shop::star *)drawn)->points * 2", drawn->corners());
}

static __attribute__((noinline)) long wait_for_end(const std::string &argument) {
    char byte;
    show("variable", "argument", argument);
    std::puts("end");
    std::fflush(stdout);
    return read(STDIN_FILENO, &byte, 1) + static_cast<long>(argument.size());
}

int main() {
    for (int i = 0; i < 1000; i++)
        numbers.push_back(i * i - 6);
    names = {"first", "second, and longer than what a string has room for"};
    ports = {{"https", 443}, {"http", 80}, {"ssh", 22}};
    drawn = new shop::star(7);
    std::unique_ptr<shop::article> last(new shop::article{"screws", 900, nullptr});
    first.reset(new shop::article{"nails", -4, std::move(last)});
    shop::article::count = 2;
    for (int i = 0; i < 3; i++)
        std::thread([] { pause(); }).detach();
    std::printf("ready %d\n", static_cast<int>(getpid()));
    show("variable", "short_text", short_text);
    show("variable", "long_text", long_text);
    show_containers();
    show_objects();
    return wait_for_end("handed over, and longer than what a string has room for") < 0;
}
