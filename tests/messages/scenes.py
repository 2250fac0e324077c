"""The failing inputs whose complete messages stand in `messages.txt`."""

from messages.scene import GROUP, Scene

TORCH = "torch 2.7.1+rocm6.2.4"

SCENES = (
    # -- requirement and requirement
    Scene(
        "Two requirements of the user's contradict each other",
        """
        dependencies = [
            "pydantic>=2",
            "pydantic<2",
        ]
        """,
        """
        pydantic 2.11.3
        pydantic 1.10.21
        """,
    ),
    Scene(
        "Two packages that the user asks for need different releases of a third; an older one would do",
        """
        dependencies = ["requests", "langsmith", "fastchat>=0.3"]
        """,
        """
        requests 2.32.3
        pydantic 2.11.3
        pydantic 1.10.21
        langsmith 0.4.1 | needs pydantic>=2 & requests
        langsmith 0.4.0 | needs pydantic>=2 & requests
        fastchat 0.4 | needs pydantic<2
        fastchat 0.3 | needs pydantic<2
        fastchat 0.2 | needs pydantic>=1
        """,
    ),
    Scene(
        "Two packages need different releases of a third, two levels below; nothing reconciles them",
        """
        dependencies = ["evaluator", "trainer"]
        """,
        """
        evaluator 1.4 | needs metrics>=3
        metrics 3.1 | needs rouge>=2
        metrics 3.0 | needs rouge>=2
        rouge 2.0
        rouge 1.0
        trainer 5.0 | needs scorer
        scorer 0.9 | needs rouge<2
        """,
    ),
    Scene(
        "Many releases are tried, each of which needs a narrow range of its own",
        """
        dependencies = ["boto", "storage<2"]
        """,
        "\n".join(
            [
                *(f"boto 1.{n} | needs botocore>=1.{n},<1.{n + 1}" for n in (39, 38, 37, 36, 35, 34)),
                *(f"botocore 1.{n}" for n in (39, 38, 37, 36, 35, 34, 33)),
                "storage 2.0 | needs botocore>=1.34",
                "storage 1.9 | needs botocore<1.34",
            ]
        ),
    ),
    # -- requirement and image
    Scene(
        "The newest releases do not fit the image, and the user rules out the older one that does",
        """
        dependencies = [
            "h5py",
            "accel>=1.8",
        ]
        """,
        """
        h5py 3.11
        accel 2.0 | needs torch>=2.8
        accel 1.9 | needs torch>=2.8
        accel 1.8 | needs torch>=2.8
        accel 1.7 | needs torch>=2.6
        """,
        TORCH,
    ),
    Scene(
        "No release fits the image, and the package is built for this machine",
        """
        dependencies = ["torchtune"]
        """,
        """
        torch 2.9.0
        torchtune 0.7 | needs torch>=2.8
        torchtune 0.6 | needs torch>=2.8
        """,
        TORCH,
    ),
    Scene(
        "What a package needs does not fit the image, two levels below",
        """
        dependencies = ["studio"]
        """,
        """
        studio 3.0 | needs engine>=2
        engine 2.1 | needs torch>=2.8
        engine 2.0 | needs torch>=2.8
        """,
        TORCH,
    ),
    Scene(
        "What a package needs does not fit the image, three levels below; an older release would do",
        """
        dependencies = [
            "numpy",
            "studio>=2",
        ]
        """,
        """
        studio 3.0 | needs engine>=2 & numpy
        studio 2.0 | needs engine>=2 & numpy
        studio 1.0 | needs engine<2
        engine 2.1 | needs kernels & numpy
        engine 2.0 | needs kernels
        engine 1.0 | needs numpy
        kernels 0.5 | needs torch>=2.8 & numpy
        """,
        f"""
        {TORCH}
        numpy 1.26.4
        """,
    ),
    Scene(
        "The user asks for another release of what the image has; the overlay could shadow it",
        """
        dependencies = ["pandas>=2.3"]
        """,
        """
        pandas 2.3.1 | needs numpy>=1.26
        """,
        """
        pandas 2.2.3 | needs numpy>=1.22
        numpy 1.26.4
        seaborn 0.13.2 | needs pandas>=1.2
        """,
    ),
    Scene(
        "The user asks for another release of what the image has; shadowing it would break the image",
        """
        dependencies = ["numpy>=2"]
        """,
        """
        numpy 2.3.1
        """,
        """
        numpy 1.26.4
        numba 0.60.0 | needs numpy<2.1,>=1.22
        """,
    ),
    Scene(
        "A package needs another release of what the image has; an older one breaks nothing",
        """
        dependencies = ["forecast"]
        """,
        """
        forecast 1.0 | needs numpy>=2
        numpy 2.3.1
        numpy 2.0.2
        """,
        """
        numpy 1.26.4
        numba 0.60.0 | needs numpy<2.1,>=1.22
        """,
    ),
    Scene(
        "The user asks for another release of what the image has, which needs others of the image anew too",
        """
        dependencies = ["transformers>=5"]
        """,
        """
        transformers 5.1 | needs huggingface-hub>=1.0 & tokenizers>=0.22 & numpy>=2
        transformers 5.0 | needs huggingface-hub>=1.0 & tokenizers>=0.22 & numpy>=1.17
        huggingface-hub 1.2
        tokenizers 0.22.1 | needs huggingface-hub>=0.16
        numpy 2.3.1
        """,
        """
        transformers 4.55.0 | needs huggingface-hub<1.0,>=0.34 & tokenizers<0.22,>=0.21 & numpy>=1.17
        huggingface-hub 0.34.4
        tokenizers 0.21.4 | needs huggingface-hub<1.0,>=0.16
        numpy 1.26.4
        numba 0.60.0 | needs numpy<2.1,>=1.22
        """,
    ),
    Scene(
        "What has to be shadowed together would break a build for this machine",
        """
        dependencies = ["transformers>=5"]
        """,
        """
        transformers 5.0 | needs huggingface-hub>=1.0
        huggingface-hub 1.2
        """,
        """
        transformers 4.55.0 | needs huggingface-hub<1.0
        huggingface-hub 0.34.4
        vllm 0.9.0+rocm624 | needs huggingface-hub<1.0
        """,
    ),
    Scene(
        "A build for other GPUs is asked for",
        """
        dependencies = ["torch==2.7.1+cu128"]
        """,
        "",
        TORCH,
    ),
    Scene(
        "A build is asked for that an image would have to have, and this one has none",
        """
        dependencies = ["torch==2.7.1+rocm6.2.4"]
        """,
        """
        torch 2.9.0
        torch 2.7.1
        """,
        "numpy 1.26.4",
    ),
    Scene(
        "Nobody knows what shadowing would break: the image is a list of names and versions",
        """
        dependencies = ["numpy>=2"]
        """,
        """
        numpy 2.3.1
        """,
        """
        numpy 1.26.4
        numba 0.60.0
        """,
    ),
    Scene(
        "The image has a development build, which lies in no range",
        """
        dependencies = ["flash-kernels"]
        """,
        """
        flash-kernels 1.0 | needs torch>=2.8
        """,
        "torch 2.8.0a0+git1234",
    ),
    Scene(
        "The image's version cannot be compared",
        """
        dependencies = ["parallel"]
        """,
        """
        parallel 1.0 | needs mpi4py>=3
        """,
        "mpi4py 4.0.1-cray",
    ),
    Scene(
        "An image package has a version of another kind, and a line of the user's is in the way too",
        """
        dependencies = ["parallel>=2", "torch>=2.8"]
        """,
        """
        parallel 2.0 | needs torch>=2.7
        """,
        "torch 2.8.0-custom",
    ),
    # -- the platform
    Scene(
        "No release runs on the image's Python",
        """
        dependencies = ["newpy"]
        """,
        """
        newpy 2.0 | python >=3.14
        newpy 1.0 | python >=3.13
        """,
    ),
    Scene(
        "The releases that the user accepts do not run on the image's Python",
        """
        dependencies = ["ipython>=9"]
        """,
        """
        ipython 9.1 | python >=3.13
        ipython 9.0 | python >=3.13
        ipython 8.37 | python >=3.10
        """,
    ),
    Scene(
        "What a package needs has dropped the image's Python",
        """
        dependencies = ["notebook"]
        """,
        """
        notebook 7.4 | needs ipython>=9
        ipython 9.1 | python >=3.11
        ipython 8.37 | python >=3.10
        """,
        python="3.10.13",
    ),
    Scene(
        "There are wheels for macOS and Windows only",
        """
        dependencies = ["metalkit"]
        """,
        """
        metalkit 0.9 | wheel cp312-cp312-macosx_11_0_arm64 | wheel cp312-cp312-win_amd64
        """,
    ),
    Scene(
        "The wheels need a newer C library than the image has",
        """
        dependencies = ["solver>=5"]
        """,
        """
        solver 5.1 | wheel cp312-cp312-manylinux_2_39_x86_64
        solver 5.0 | wheel cp312-cp312-manylinux_2_34_x86_64 | wheel cp311-cp311-manylinux_2_34_x86_64
        solver 4.2 | wheel cp312-cp312-manylinux_2_28_x86_64
        """,
    ),
    Scene(
        "The wheels are for other Pythons",
        """
        dependencies = ["scanner"]
        """,
        """
        scanner 1.1 | wheel cp38-cp38-manylinux_2_17_x86_64 | wheel cp39-cp39-manylinux_2_17_x86_64
        scanner 1.0 | wheel cp37-cp37m-manylinux_2_17_x86_64 | wheel cp38-cp38-manylinux_2_17_x86_64
        """,
    ),
    Scene(
        'There are sources only, and build = "never"',
        """
        dependencies = ["oldtool"]

        [resolve]
        build = "never"
        """,
        """
        oldtool 0.3 | sources
        oldtool 0.2 | sources
        """,
    ),
    Scene(
        "There are sources only, which would have to be built, and the image is not at hand",
        """
        dependencies = ["oldtool", "h5py"]
        """,
        """
        oldtool 0.3 | sources | unstated
        h5py 3.11
        """,
    ),
    Scene(
        "A direct source needs what the image has not",
        """
        dependencies = ["mylib"]

        [sources]
        mylib = { path = "mylib" }
        """,
        """
        place mylib: mylib 1.2 | needs torch>=2.8
        """,
        TORCH,
    ),
    Scene(
        "A package needs another release than the direct source has",
        """
        dependencies = ["mylib", "app>=2"]

        [sources]
        mylib = { path = "mylib" }
        """,
        """
        place mylib: mylib 1.2
        app 2.0 | needs mylib>=2
        app 1.0 | needs mylib
        """,
    ),
    # -- what an index says of its releases
    Scene(
        "All that fits was withdrawn",
        """
        dependencies = ["lockstep>=2", "client"]

        [resolve]
        constraints = ["client<2"]
        """,
        """
        lockstep 2.1 | yanked loses data on resume
        lockstep 2.0 | yanked loses data on resume
        client 1.0
        client 2.0
        """,
    ),
    Scene(
        "All releases are newer than exclude-newer",
        """
        dependencies = ["fresh"]

        [resolve]
        exclude-newer = "2025-01-01"
        """,
        """
        fresh 1.1 | uploaded 2025-08-03
        fresh 1.0 | uploaded 2025-07-01
        """,
    ),
    Scene(
        "What exclude-newer leaves is too old",
        """
        dependencies = ["fresh>=1"]

        [resolve]
        exclude-newer = "2025-07-15"
        """,
        """
        fresh 1.1 | uploaded 2025-08-03
        fresh 1.0 | uploaded 2025-07-20
        fresh 0.9 | uploaded 2025-06-01
        """,
    ),
    Scene(
        "There are prereleases only, and they are disallowed",
        """
        dependencies = ["preview"]

        [resolve]
        prerelease = "disallow"
        """,
        """
        preview 1.0rc2
        preview 1.0rc1
        """,
    ),
    Scene(
        "A prerelease would fit, but finals that do not fit come first",
        """
        dependencies = ["accel"]
        """,
        """
        accel 2.0 | needs torch>=2.8
        accel 2.1a1 | needs torch>=2.7
        """,
        TORCH,
    ),
    Scene(
        "Broken metadata",
        """
        dependencies = ["tool"]
        """,
        """
        tool 2.0 | broken
        tool 1.0 | needs not a requirement!!
        """,
    ),
    # -- names
    Scene(
        "An unknown package: the image has one of almost that name",
        """
        dependencies = ["scikit_lern>=1"]
        """,
        "",
        "scikit-learn 1.5.0",
    ),
    Scene(
        "An unknown package: the index has one of almost that name",
        """
        dependencies = [
            "reqeusts>=2",
        ]
        """,
        "\n".join(f"requests 2.{minor}" for minor in range(32, 20, -1)),
    ),
    Scene(
        "An unknown package: another line of the user's is almost the same",
        """
        dependencies = ["lightning-fabrik", "lightning-fabric>=2"]
        """,
        """
        lightning-fabric 2.5
        """,
    ),
    Scene(
        "An unknown package, and nothing is near",
        """
        dependencies = ["our-group-tools"]
        """,
    ),
    Scene(
        "The name of an import, which the image provides",
        """
        dependencies = ["cv2"]
        """,
        "",
        "opencv-python-headless 4.11.0.86 | modules cv2",
    ),
    Scene(
        "The name of an import, which the index does not have",
        """
        dependencies = ["PIL", "numpy"]
        """,
        """
        pillow 11.3.0
        """,
        "numpy 1.26.4",
    ),
    Scene(
        "The name of an import, which is a dummy on the index",
        """
        dependencies = ["sklearn"]

        [resolve]
        build = "never"
        """,
        """
        sklearn 0.0.post12 | sources
        scikit-learn 1.7.0
        """,
    ),
    Scene(
        "The name of a module that is a part of Python",
        """
        dependencies = ["tkinter", "h5py"]
        """,
        "h5py 3.11",
    ),
    Scene(
        "A package needs one that no index has",
        """
        dependencies = ["tool"]
        """,
        """
        tool 1.0 | needs tool-internal>=3
        """,
    ),
    # -- the network
    Scene(
        "No network",
        """
        dependencies = ["h5py"]
        """,
        reachable=False,
        resolved=False,
    ),
    Scene(
        "An index of lumienv.toml cannot be reached",
        """
        dependencies = ["h5py"]

        [[index]]
        name = "group"
        url = "http://127.0.0.1:9/simple"
        """,
        resolved=False,
    ),
    Scene(
        "Offline, with nothing in the cache",
        """
        dependencies = ["h5py"]
        """,
        """
        h5py 3.11
        """,
        words=("--offline",),
        resolved=False,
    ),
    Scene(
        "A second index takes a name, and its releases do not do",
        f"""
        dependencies = ["mylib>=2"]

        [[index]]
        name = "group"
        url = "{GROUP}/simple"
        """,
        """
        group: mylib 1.4
        mylib 9.0
        """,
    ),
    Scene(
        "A package is to come from an index that does not have it",
        f"""
        dependencies = ["mylib"]

        [[index]]
        name = "group"
        url = "{GROUP}/simple"
        explicit = true

        [sources]
        mylib = {{ index = "group" }}
        """,
        """
        group: otherlib 1.4
        mylib 9.0
        """,
    ),
    # -- the user's rules
    Scene(
        "A constraint is in the way",
        """
        dependencies = ["app"]

        [resolve]
        constraints = [
            "numpy<2",
            "lib<2",
        ]
        """,
        """
        app 1.0 | needs lib>=2 & numpy
        lib 2.1
        lib 1.0
        """,
        "numpy 1.26.4",
    ),
    Scene(
        "A constraint and the image",
        """
        dependencies = ["app"]

        [resolve]
        constraints = ["numpy>=2"]
        """,
        """
        app 1.0 | needs numpy
        """,
        """
        numpy 1.26.4
        numba 0.60.0 | needs numpy<2.1
        """,
    ),
    Scene(
        "An override asks for more than the image has",
        """
        dependencies = ["app"]

        [resolve]
        overrides = ["torch>=2.8"]
        """,
        """
        app 1.0 | needs torch>=2.6
        """,
        TORCH,
    ),
    Scene(
        "A group and the dependencies contradict each other",
        """
        dependencies = ["app"]

        [dependency-groups]
        dev = [
            "pytest-app>=3",
        ]
        """,
        """
        app 1.0 | needs pluggy<1
        pytest-app 3.0 | needs pluggy>=1
        pytest-app 2.0 | needs pluggy
        pluggy 1.6
        pluggy 0.13
        """,
    ),
    Scene(
        "An extra brings what does not fit",
        """
        dependencies = ["datasets[audio]"]
        """,
        """
        datasets 4.0 | extra audio | needs numpy & torchcodec>=0.6; extra == "audio"
        datasets 3.9 | extra audio | needs numpy & torchcodec>=0.6; extra == "audio"
        torchcodec 0.6 | needs torch>=2.8
        """,
        f"""
        {TORCH}
        numpy 1.26.4
        """,
    ),
    Scene(
        "Packages that need each other in a circle, of which one does not fit",
        """
        dependencies = ["alpha"]
        """,
        """
        alpha 1.0 | needs beta==1.0
        beta 1.0 | needs gamma
        gamma 1.0 | needs alpha>=2
        """,
    ),
    Scene(
        "Two lines fail for reasons of their own",
        """
        dependencies = ["one", "two", "three"]
        """,
        """
        one 1.0 | needs torch>=2.8
        two 1.0 | needs numpy>=2
        three 1.0
        """,
        f"""
        {TORCH}
        numpy 1.26.4 | needs nothing-of-interest
        """,
    ),
    Scene(
        "Two lines fail for reasons of their own, and each can be mended",
        """
        dependencies = [
            "one>=2",
            "two>=2",
            "three",
        ]
        """,
        """
        one 2.0 | needs torch>=2.8
        one 1.0 | needs torch>=2.7
        two 2.0 | needs numpy>=2
        two 1.0 | needs numpy
        three 1.0
        """,
        f"""
        {TORCH}
        numpy 1.26.4
        numba 0.60.0 | needs numpy<2
        """,
    ),
    Scene(
        "The search is given up",
        """
        dependencies = ["app"]
        """,
        "\n".join(
            [
                *(f"app 1.{n} | needs client" for n in (2, 1)),
                *(f"client 1.{n} | needs middle==1.{n}" for n in range(9, -1, -1)),
                *(f"middle 1.{n} | needs core>=1.{n}" for n in range(9, -1, -1)),
            ]
        ),
        "core 1.0",
        rounds=12,
    ),
    Scene(
        "The search is given up, and there are constraints",
        """
        dependencies = ["app"]

        [resolve]
        constraints = ["core<2"]
        """,
        "\n".join(
            [
                *(f"app 1.{n} | needs client" for n in (2, 1)),
                *(f"client 1.{n} | needs middle==1.{n}" for n in range(9, -1, -1)),
                *(f"middle 1.{n} | needs core>=1.{n}" for n in range(9, -1, -1)),
            ]
        ),
        "core 1.0",
        rounds=12,
    ),
    # -- lines that cannot be read
    Scene(
        "A line that is no requirement",
        """
        dependencies = [
            "h5py",
            "datasets = 3.0",
        ]
        """,
        """
        h5py 3.11
        datasets 3.0
        """,
        resolved=False,
    ),
    Scene(
        "A line that is no requirement, and nobody knows what was meant",
        """
        dependencies = ["h5py >= three"]
        """,
        resolved=False,
    ),
    Scene(
        "A marker that compares a version with what is none",
        """
        dependencies = ["h5py; python_version ~= '3'"]
        """,
        resolved=False,
    ),
)
