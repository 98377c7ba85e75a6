"""That all took part."""

from exercising import passes, refused

from ddl_lab.exercises import lab_17 as exercise


def by_assert(accelerator, asked):
    world = accelerator.num_processes
    assert world == asked, f"{world} of {asked}"


def by_two_cases(accelerator, asked):
    if accelerator.num_processes < asked:
        raise ValueError(f"too few: {accelerator.num_processes}, not {asked}")
    if accelerator.num_processes > asked:
        raise ValueError(f"too many: {accelerator.num_processes}, not {asked}")


def by_a_type(accelerator, asked):
    world = accelerator.num_processes
    if world != asked:
        raise TypeError("asked, and there:", asked, world)


def by_exit(accelerator, asked):
    import sys

    if asked - accelerator.num_processes:
        sys.exit(f"asked {asked}, there {accelerator.num_processes}")


test_any_style_passes = passes(exercise.took_part, by_assert, by_two_cases, by_a_type, by_exit)


def raising(accelerator, asked):
    raise RuntimeError(f"{asked} and {accelerator.num_processes}")


def only_one(accelerator, asked):
    if accelerator.num_processes == 1 != asked:
        raising(accelerator, asked)


def only_the_main(accelerator, asked):
    if accelerator.is_main_process and accelerator.num_processes != asked:
        raising(accelerator, asked)


def too_few(accelerator, asked):
    if accelerator.num_processes < asked:
        raising(accelerator, asked)


def printed(accelerator, asked):
    if accelerator.num_processes != asked:
        accelerator.print(f"{asked} and {accelerator.num_processes}")


def without_words(accelerator, asked):
    if accelerator.num_processes != asked:
        raise AssertionError


def by_index(accelerator, asked):
    if accelerator.process_index != asked:
        raising(accelerator, asked)


def one_number(accelerator, asked):
    if accelerator.num_processes != asked:
        raise RuntimeError(f"{asked} processes were asked")


test_a_mistake_is_named = refused(
    exercise.took_part,
    (lambda accelerator, asked: accelerator.num_processes == asked, "a result that nobody looks at"),
    (printed, "or a warning, is no check"),
    (only_one, "a single process isn't the only way"),
    (only_the_main, "only the main process checks"),
    (too_few, "more than were asked are wrong, too"),
    (lambda accelerator, asked: accelerator.world == asked, "has no attribute 'world'"),
    (without_words, "name both numbers"),
    (one_number, "name both numbers"),
    (by_index, "all is well there"),
    (lambda accelerator, asked: raising(accelerator, asked), "all is well there"),
)
