"""This tree's masks beside nnU-Net's own predictor on one real CT, side by side: wall and processor seconds.

    pip install -e ".[benchmark]"
    python Testing/Benchmarks/bench_others.py [CT] [--rounds 2]

nnU-Net runs from its package without trained weights: a plain convolutional U-Net of random weights, with
plans of ours that are like those of TotalSegmentator's model for 3 mm (patches of 112 x 112 x 128, six
levels, 118 classes, tiles that overlap by half, no mirroring, its own resampling there and back). So its
answer means nothing, and its time what such a network takes. TotalSegmentator itself does not start without
its weights.
Both take as many threads as `OMP_NUM_THREADS` says. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_analyze import MASKS, TREE, Row, Run, analysis, timed

CLASSES = 118
PATCH = (112, 112, 128)
SPACING_MM = 3.0
FEATURES = (32, 64, 128, 256, 320, 320)


def plans() -> dict[str, Any]:
    """nnU-Net's plans for one configuration, as its planner writes them."""
    levels = len(FEATURES)
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    probabilities = {**resampling, "order": 1}
    return {
        "dataset_name": "Dataset000_Random",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [SPACING_MM] * 3,
        "original_median_shape_after_transp": [128] * 3,
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 0.0, "std": 300.0, "percentile_00_5": -1000.0, "percentile_99_5": 1000.0}
        },
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": list(PATCH),
                "median_image_size_in_voxels": [128.0] * 3,
                "spacing": [SPACING_MM] * 3,
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": probabilities,
                "batch_dice": True,
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": levels,
                        "features_per_stage": list(FEATURES),
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[3, 3, 3]] * levels,
                        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (levels - 2) + [[1, 1, 2]],
                        "n_conv_per_stage": [2] * levels,
                        "n_conv_per_stage_decoder": [2] * (levels - 1),
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
    }


def predict(ct: Path) -> None:
    """Read a CT and predict by nnU-Net's predictor with random weights."""
    import torch
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    torch.manual_seed(0)
    names = {"background": 0, **{f"organ {n}": n for n in range(1, CLASSES)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": names, "file_ending": ".nii.gz"}
    manager = PlansManager(plans())
    configuration = manager.get_configuration("3d_fullres")
    network = nnUNetTrainer.build_network_architecture(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        CLASSES,
        enable_deep_supervision=False,
    ).eval()
    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    state = network.state_dict()
    predictor.manual_initialization(network, manager, configuration, [state], dataset, "nnUNetTrainer", None)
    image, properties = SimpleITKIO().read_images([str(ct)])
    print("read", file=sys.stderr, flush=True)
    labels = predictor.predict_single_npy_array(image, properties, None, None, False)
    print(f"{labels.shape}, {len(set(labels.ravel()[::997].tolist()))} labels")


def main() -> int:
    parser = argparse.ArgumentParser(description="See the module.")
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--predict", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.predict:
        predict(args.ct)
        return 0
    sys.path.insert(0, str(TREE / "LiverLesionAI"))
    from LiverLesionAILab.data.cases import data_folder
    from LiverLesionAILib.support.errors import InputError

    try:
        ct = args.ct.resolve() if args.ct else data_folder() / "lits" / "lits003_ct.nii.gz"
    except InputError as error:
        print(f"skipped: {error}")
        return 0
    rows = (
        analysis("masks alone", TREE, ct, (*MASKS, "--no-gallbladder", "--no-scene")),
        Row("nnU-Net's predictor", (str(Path(__file__).resolve()), str(ct), "--predict")),
    )
    runs: dict[str, list[Run]] = {row.name: [] for row in rows}
    for _ in range(args.rounds):
        for row in rows:
            runs[row.name].append(timed(row))
    print(f"{ct.name}, {args.rounds} rounds, medians, {time.strftime('%d %B %Y')}")
    print(f"{'':<22} {'wall s':>8} {'CPU s':>8} {'peak GB':>8}")
    for name, each in runs.items():
        wall, cpu = (median(getattr(run, key) for run in each) for key in ("wall_s", "cpu_s"))
        print(f"{name:<22} {wall:8.1f} {cpu:8.1f} {max(run.peak_gb for run in each):8.2f}")
    mine, other = (median(run.wall_s for run in each) for each in runs.values())
    print(f"masks alone / nnU-Net's predictor: {mine / other:.2f} of the time")
    return 0


if __name__ == "__main__":
    sys.exit(main())
